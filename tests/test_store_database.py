"""The store's database: who may see it, how older ones are brought up to date, and what cannot be used, in words."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.errors import StoreError
from sandbox.store import Store, database
from sandbox.store.database import APPLICATION, MIGRATIONS, Database
from tests import stored

ROOT = Path(__file__).parent.parent


def made(folder: Path, version: int) -> sqlite3.Connection:
    """A store as baitbox made it when `version` was the newest schema."""
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "store.sqlite")
    connection.executescript(
        "PRAGMA journal_mode=WAL; BEGIN;"
        + "".join(MIGRATIONS[:version])
        + f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={version}; COMMIT;"
    )
    return connection


def schema(folder: Path) -> set[str]:
    connection = sqlite3.connect(folder / "store.sqlite")
    found = {row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    connection.close()
    return found


def test_a_new_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "store"
    with Store.open(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_an_empty_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Store.open(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match=r"is not a store: there is 'thesis.txt' in it"):
        Store.open(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)  # what another user would find
    with pytest.raises(StoreError, match="belongs to another user"):
        Store.open(tmp_path / "store")


def test_it_is_set_up_for_concurrent_use(tmp_path: Path) -> None:
    base = Database(tmp_path / "store")
    assert base.one("PRAGMA journal_mode") == "wal"
    assert base.one("PRAGMA synchronous") == 1
    assert base.one("PRAGMA foreign_keys") == 1
    assert base.one("PRAGMA auto_vacuum") == 2
    assert base.one("PRAGMA busy_timeout") == database.PATIENCE * 1000
    assert base.one("PRAGMA user_version") == len(MIGRATIONS)
    base.close()


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
def test_a_store_of_each_older_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    folder = tmp_path / "old"
    made(folder, version).close()
    with Store.open(folder) as store:
        run = stored.save(store, tmp_path)
        scan = store.open_scan("f1")
        scan.add(run.key.purl, run.key.digest, "clean", run=run.id)
        assert store.verify() == []
    Store.open(tmp_path / "new").close()
    assert schema(folder) == schema(tmp_path / "new")


def columns(connection: sqlite3.Connection, table: str) -> str:
    return ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_a_migration_keeps_what_is_there(tmp_path: Path, version: int) -> None:
    folder = tmp_path / "old"
    with Store.open(tmp_path / "new") as store:
        run = stored.save(store, tmp_path, 0, "malicious")
        scan = store.open_scan("f1")
        scan.add(run.key.purl, run.key.digest, "malicious", run=run.id)
        scan.finish()
        last = store.last_finished("f1")
    connection = made(folder, version)
    connection.execute("ATTACH ? AS other", (str(tmp_path / "new" / "store.sqlite"),))
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    with connection:
        for table in tables:
            if not table.startswith("sqlite_"):
                names = columns(connection, table)  # what an older baitbox would have written
                connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM other.{table}")
    connection.close()
    shutil.copytree(tmp_path / "new" / "recordings", folder / "recordings")
    with Store.open(folder) as store:
        assert list(store.runs()) == [run]
        assert store.find(run.key) == run
        assert store.last_finished("f1") == (last if version > 1 else None)
        assert store.verify() == []


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "store"
    with Store.open(folder) as store:
        run = stored.save(store, tmp_path)
    before = schema(folder)
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (x); CREATE TABLE run (y);"))
    with pytest.raises(StoreError, match="already exists"):
        Store.open(folder)
    monkeypatch.undo()
    assert schema(folder) == before
    with Store.open(folder) as store:
        assert list(store.runs()) == [run]


def test_a_store_of_a_newer_baitbox_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    connection = made(folder, 1)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = (folder / "store.sqlite").read_bytes()
    with pytest.raises(StoreError, match="of version 99, made by a newer baitbox") as caught:
        Store.open(folder)
    assert "update baitbox" in caught.value.hint
    assert (folder / "store.sqlite").read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()
    before = (tmp_path / "store.sqlite").read_bytes()
    with pytest.raises(StoreError, match="is a database of another program"):
        Store.open(tmp_path)
    assert (tmp_path / "store.sqlite").read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"is damaged: store.sqlite: file is not a database") as caught:
        Store.open(tmp_path)
    assert "move it away" in caught.value.hint


def test_a_database_with_spoilt_pages_is_an_error_and_never_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with Store.open(folder) as store:
        for number in range(30):
            stored.save(store, tmp_path, number)
    path = folder / "store.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"), Store.open(folder) as store:
        list(store.runs())


def test_a_table_that_is_missing_is_damage(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    connection = made(folder, len(MIGRATIONS))
    connection.execute("DROP TABLE recording")
    connection.execute("DROP TABLE run")
    connection.close()
    with pytest.raises(StoreError, match=r"is damaged: .*no such table"), Store.open(folder) as store:
        list(store.runs())


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file cannot be used: File exists"):
        Store.open(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be used: Not a directory"):
        Store.open(tmp_path / "file" / "below")


def test_a_database_that_others_hold_is_waited_for_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    with Store.open(tmp_path / "store") as store:
        other = sqlite3.connect(tmp_path / "store" / "store.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="has been in use by another process for more than"):
            stored.save(store, tmp_path)
        assert list(store.runs()) == []  # readers are not held up
        other.execute("ROLLBACK")
        other.close()
        assert stored.save(store, tmp_path).id


def test_the_lock_is_waited_for_and_then_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    one, other = Database(tmp_path / "store"), Database(tmp_path / "store")
    with one.holding(alone=False), other.holding(alone=False):
        pass
    with one.holding(alone=False), pytest.raises(StoreError, match="in use"), other.holding(alone=True):
        pass
    with one.holding(alone=True), pytest.raises(StoreError, match="in use"), other.holding(alone=False):
        pass
    with other.holding(alone=True):
        pass
    one.close()
    other.close()


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    base = Database(tmp_path / "store")
    rows = iter([("a", "b"), ("c", "d"), ("a", "b")])  # the third is there already
    with pytest.raises(StoreError), base.writing() as connection:
        connection.executemany("INSERT INTO artifact (digest, url) VALUES (?, ?)", rows)
    assert base.one("SELECT count(*) FROM artifact") == 0
    with base.writing() as connection:
        connection.execute("INSERT INTO artifact (digest, url) VALUES ('a', 'b')")
    assert base.one("SELECT count(*) FROM artifact") == 1
    base.close()


def test_a_mistake_of_ours_is_not_called_damage(tmp_path: Path) -> None:
    base = Database(tmp_path / "store")
    with pytest.raises(sqlite3.ProgrammingError):
        base.rows("SELECT ?", 1, 2)
    base.close()


def under(wrapper: list[str], folder: Path, tmp_path: Path) -> str:
    """What saving 400 runs says in a process of its own, where `wrapper` has changed the world."""
    text = (
        "import sys\nfrom pathlib import Path\nfrom sandbox.store import Store\nfrom sandbox.errors import StoreError\n"
        "from tests import stored\ntry:\n  with Store.open(Path(sys.argv[1])) as store:\n"
        "    for number in range(400): stored.save(store, Path(sys.argv[2]), number)\n"
        "except StoreError as error:\n  print(f'{error} | {error.hint}')\nelse:\n  print('saved')\n"
    )
    command = [*wrapper, sys.executable, "-c", text, str(folder), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode and not done.stdout:
        pytest.skip(f"not possible here: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()


def test_a_full_disk_is_said_and_what_is_there_stays(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "small", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    after = (
        f'mount -t tmpfs -o size=600k,mode=700 none "{folder}" && "$@" && {sys.executable} -c "'
        "from pathlib import Path; from sandbox.store import Store; "
        f"store = Store.open(Path('{folder}')); print(len(list(store.runs())) > 3, store.verify()); store.close()\""
    )
    said = under(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", after, "sh"], folder, scratch)
    first, second = said.splitlines()
    assert first == f"the store {folder} cannot be used: No space left on device | free some disk space"
    assert second == "True []"


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, existing: bool) -> None:
    folder, scratch = tmp_path / "store", tmp_path / "scratch"
    scratch.mkdir()
    folder.mkdir(mode=0o700)
    if existing:
        Store.open(folder).close()
    after = f'mount --bind -o ro "{folder}" "{folder}" && exec "$@"'
    said = under(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", after, "sh"], folder, scratch)
    assert said.startswith(f"the store {folder} cannot be used: ")
    assert said.endswith("| name a folder of your own with --store")
