"""How a client may reach the application's own file without SQLite: as a file, or by another process."""

from __future__ import annotations

from textwrap import dedent, indent

from tests.isolation.application import EITHER, Way

_AND_SELLS = """
plainly = sell


def sell():
    touch()
    return plainly()
"""

_FILES = {
    "open to read": "open(PATH, 'rb').read(100)",
    "open to read and write": "open(PATH, 'r+b').close()",
    "open to write": "open(PATH, 'wb').close()",
    "open to append": "open(PATH, 'ab').write(b'x')",
    "open by bytes": "open(os.fsencode(PATH), 'rb').read(1)",
    "open by a relative path": "open(os.path.relpath(PATH), 'rb').read(1)",
    "open by a symbolic link": "open(SYMBOLIC, 'rb').read(1)",
    "open by a hard link": "open(HARD, 'r+b').close()",
    "open with an opener": "open(PATH, 'rb', opener=lambda path, flags: os.open(path, os.O_RDWR)).close()",
    "open with an opener that is told another name": """
open('elsewhere', 'rb', opener=lambda path, flags: os.open(PATH, os.O_RDONLY)).close()
""",
    "its wal": "open(PATH + '-wal', 'ab').close()",
    "its journal": "open(PATH + '-journal', 'ab').close()",
    "its shared memory": "open(PATH + '-shm', 'ab').close()",
    "io.FileIO": "import io\nio.FileIO(PATH, 'r+').close()",
    "io.open_code": "import io\nio.open_code(PATH).close()",
    "_io.open": "import _io\n_io.open(PATH, 'rb').close()",
    "codecs.open": "import codecs\ncodecs.getreader('latin-1')(open(PATH, 'rb')).read(10)",
    "gzip": "import gzip\ngzip.open(PATH, 'ab').close()",
    "zipfile": "import zipfile\nzipfile.ZipFile('backup.zip', 'w').write(PATH)",
    "tarfile": "import tarfile\ntarfile.open('backup.tar', 'w').add(PATH)",
    "linecache": "import linecache\nlinecache.getline(PATH, 1)",
    "fileinput": "import fileinput\nlist(fileinput.input([PATH], mode='rb'))",
    "logging.FileHandler": "import logging\nlogging.FileHandler(PATH).close()",
    "the import system": """
import importlib
sys.path.insert(0, PATH)
importlib.invalidate_caches()
try:
    with contextlib.suppress(ImportError):
        import there_is_no_such_module
finally:
    sys.path.remove(PATH)
""",
    "pathlib read": "pathlib.Path(PATH).read_bytes()",
    "pathlib write": "pathlib.Path(PATH).write_bytes(b'')",
    "pathlib touch": "pathlib.Path(PATH).touch()",
    "pathlib unlink": "pathlib.Path(PATH).unlink(missing_ok=True)",
    "pathlib rename": "pathlib.Path(PATH).rename(PATH + '.old')",
    "pathlib hardlink_to": "pathlib.Path('own.db').hardlink_to(PATH)",
    "os.open": "os.close(os.open(PATH, os.O_RDWR))",
    "os.open to truncate": "os.close(os.open(PATH, os.O_WRONLY | os.O_TRUNC))",
    "os.open in a directory's descriptor": """
there = os.open(os.path.dirname(PATH), os.O_RDONLY)
os.close(os.open('application.db', os.O_RDWR, dir_fd=there))
os.close(there)
""",
    "os.truncate": "os.truncate(PATH, 0)",
    "os.remove": "os.remove(PATH)",
    "os.unlink in a directory's descriptor": """
there = os.open(os.path.dirname(PATH), os.O_RDONLY)
os.unlink('application.db', dir_fd=there)
os.close(there)
""",
    "os.rename": "os.rename(PATH, PATH + '.old')",
    "os.rename in a directory's descriptor": """
there = os.open(os.path.dirname(PATH), os.O_RDONLY)
os.rename('application.db', 'old.db', src_dir_fd=there, dst_dir_fd=there)
os.close(there)
""",
    "os.rename of its directory": "os.rename(os.path.dirname(PATH), os.path.dirname(PATH) + '.old')",
    "os.replace of another onto it": "pathlib.Path('new').write_bytes(b'')\nos.replace('new', PATH)",
    "os.link": "os.link(PATH, 'own.db')",
    "os.link to read": """
with contextlib.suppress(FileExistsError):
    os.link(PATH, 'own.db')
open('own.db', 'rb').read(1)
""",
    "os.symlink over it": "os.symlink(PATH, 'new')\nos.replace('new', PATH)",
    "os.chmod": "os.chmod(PATH, 0o600)",
    "os.utime": "os.utime(PATH, (0, 0))",
    "os.chown": "os.chown(PATH, os.getuid(), os.getgid())",
    "os.scandir and open": """
for entry in os.scandir(os.path.dirname(PATH)):
    open(entry, 'rb').read(1)
""",
    "glob and open": """
import glob
for name in glob.glob(os.path.dirname(PATH) + '/*'):
    open(name, 'rb').read(1)
""",
    "shutil.copy from it": "import shutil\nshutil.copy(PATH, 'backup.db')",
    "shutil.copyfile onto it": """
import shutil
pathlib.Path('new').write_bytes(b'')
shutil.copyfile('new', PATH)
""",
    "shutil.move": "import shutil\nshutil.move(PATH, 'moved.db')",
    "shutil.rmtree of its directory": "import shutil\nshutil.rmtree(os.path.dirname(PATH), ignore_errors=True)",
    "shutil.copytree of its directory": """
import shutil
shutil.copytree(os.path.dirname(PATH), 'backup', dirs_exist_ok=True)
""",
    "mmap": """
import mmap
with open(PATH, 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:
    memory[100:101] = b'x'
""",
    "after chdir": "os.chdir(os.path.dirname(PATH))\nopen('application.db', 'rb').read(1)",
    "after fchdir": """
there = os.open(os.path.dirname(PATH), os.O_RDONLY)
os.fchdir(there)
open('application.db', 'rb').read(1)
""",
}
"""What touches the file, within the client's own process."""

_CHANGES = "import sqlite3; c = sqlite3.connect({path}); c.execute('UPDATE item SET stock = 0'); c.commit()"

_PROCESSES = {
    "the sqlite3 command": "subprocess.run(['sqlite3', PATH, 'UPDATE item SET stock = 0'])",
    "cp": "subprocess.run(['cp', PATH, 'backup.db'])",
    "rm by the shell": "os.system('rm -f ' + PATH)",
    "a redirection of the shell": "subprocess.run(f'echo x >> {PATH}', shell=True)",
    "os.system": "os.system(f'{sys.executable} -c \"{CHANGES}\"')",
    "os.popen": "os.popen(f'{sys.executable} -c \"{CHANGES}\"').read()",
    "subprocess.run": "subprocess.run([sys.executable, '-c', CHANGES])",
    "subprocess without anything of the parent": """
subprocess.run([sys.executable, '-I', '-S', '-c', CHANGES], env={}, cwd='/')
""",
    "subprocess that is told by a variable": """
code = CHANGES.replace(repr(PATH), "__import__('os').environ['DB']")
subprocess.run([sys.executable, '-c', code], env={**os.environ, 'DB': PATH})
""",
    "subprocess that is told by a pipe": "subprocess.run([sys.executable, '-'], input=CHANGES.encode())",
    "subprocess in its directory": """
code = CHANGES.replace(repr(PATH), "'application.db'")
subprocess.run([sys.executable, '-c', code], cwd=os.path.dirname(PATH))
""",
    "subprocess that nobody waits for": """
global child
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(0.2); ' + CHANGES], start_new_session=True)
""",
    "subprocess that outlives the check": """
global child
child = subprocess.Popen(['sleep', '30'], start_new_session=True)
""",
    "subprocess with a preexec_fn": "subprocess.run(['true'], preexec_fn=lambda: exec(CHANGES))",
    "subprocess with the file as its output": "subprocess.run(['echo', 'x'], stdout=open(PATH, 'ab'))",
    "os.posix_spawn": """
os.waitpid(os.posix_spawn(sys.executable, [sys.executable, '-c', CHANGES], os.environ), 0)
""",
    "os.posix_spawn with the file opened by the kernel": """
to_file = (os.POSIX_SPAWN_OPEN, 1, PATH, os.O_WRONLY | os.O_APPEND, 0o600)
os.waitpid(os.posix_spawn('/bin/echo', ['echo', 'x'], os.environ, file_actions=[to_file]), 0)
""",
    "os.spawnv": "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', CHANGES])",
    "os.execv": "os.execv(sys.executable, [sys.executable, '-c', CHANGES])",
    "os.fork": """
child = os.fork()
if child == 0:
    exec(CHANGES)
    os._exit(0)
os.waitpid(child, 0)
""",
    "os.fork and os.execv": """
child = os.fork()
if child == 0:
    os.execv(sys.executable, [sys.executable, '-c', CHANGES])
os.waitpid(child, 0)
""",
    "os.fork twice": """
child = os.fork()
if child == 0:
    os.setsid()
    if os.fork() == 0:
        exec(CHANGES)
    os._exit(0)
os.waitpid(child, 0)
""",
    "os.forkpty": """
child, terminal = os.forkpty()
if child == 0:
    exec(CHANGES)
    os._exit(0)
os.waitpid(child, 0)
""",
    "pty.spawn": "import pty\npty.spawn([sys.executable, '-c', CHANGES], lambda fd: os.read(fd, 1024), lambda fd: b'')",
    "multiprocessing, forked": """
import multiprocessing
child = multiprocessing.get_context('fork').Process(target=changes)
child.start()
child.join()
""",
    "multiprocessing, spawned": """
import multiprocessing
child = multiprocessing.get_context('spawn').Process(target=changes)
child.start()
child.join()
""",
    "multiprocessing, by a fork server": """
import multiprocessing
child = multiprocessing.get_context('forkserver').Process(target=changes)
child.start()
child.join()
""",
    "a ProcessPoolExecutor": """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1) as pool:
    pool.submit(changes).result()
""",
    "asyncio.create_subprocess_exec": """
import asyncio

async def start():
    await (await asyncio.create_subprocess_exec(sys.executable, '-c', CHANGES)).wait()

asyncio.run(start())
""",
    "python -m sqlite3": "subprocess.run([sys.executable, '-m', 'sqlite3', PATH, 'UPDATE item SET stock = 0'])",
}
"""What touches the file by a process that the client starts."""

_NEEDS = {"the sqlite3 command": ("sqlite3",), "python -m sqlite3": ("sqlite3.__main__",)}

_CHANGES_TOO = """
CHANGES = {changes!r}.format(path=repr(PATH))


def changes():
    exec(CHANGES)
"""

_FAST_FILES = ("open to read and write", "os.open in a directory's descriptor", "os.rename of its directory")
_FAST_PROCESSES = ("os.system", "os.fork")


def reaches() -> list[Way]:
    """Return the ways to reach the file as a file, or by another process."""
    found = [_way("file", name, code, "", fast=name in _FAST_FILES) for name, code in _FILES.items()]
    helper = _CHANGES_TOO.format(changes=_CHANGES)
    for name, code in _PROCESSES.items():
        fast, needs = name in _FAST_PROCESSES, _NEEDS.get(name, ())
        found.append(_way("process", name, code, helper, fast=fast, needs=needs))
    return found


def _way(group: str, name: str, code: str, helper: str, *, fast: bool, needs: tuple[str, ...] = ()) -> Way:
    touch = "\n\ndef touch():\n" + indent(dedent(code).strip(), "    ") + "\n"
    return Way(f"{group}: {name}", shop=helper + touch + _AND_SELLS, ends=EITHER, fast=fast, needs=needs)
