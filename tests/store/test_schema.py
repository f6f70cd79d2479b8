"""The schema: migrations against tables, who may create it, and two starting at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, literal, text

from payments_core.adapters.sql import check, current, metadata, schema, upgrade
from payments_core.adapters.sql.columns import Instant
from payments_core.adapters.sql.inbox import _due
from payments_core.adapters.sql.statements import now_sql
from payments_core.adapters.sql.tables import inbox
from payments_core.adapters.sql.urls import database_url
from payments_core.errors import ConfigurationError, StoreUnavailable
from payments_core.ports import Io
from payments_core.testing.contracts.examples import MOMENT, received
from tests.store.worlds import PostgresWorld, SqliteWorld

SCRIPTS = Path(schema.__file__).parent / "migrations"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'payments.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def connected(url: str) -> Any:
    """A plain SQLAlchemy connection."""
    engine = create_engine(database_url(url, "blocking"))
    connection = engine.connect()
    return closing(_Owning(connection))


class _Owning:
    """Closes the engine with the connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def close(self) -> None:
        self.connection.close()
        self.connection.engine.dispose()


def test_the_migrations_add_up_to_the_tables(url: str) -> None:
    """What Alembic would still have to change after all migrations is nothing."""
    assert upgrade(url) == schema.HEAD
    with connected(url) as own:
        # SQLite has no identity columns; Alembic takes the row id for a missing default.
        options = {"version_table": schema.VERSION_TABLE, "compare_server_default": "postgres" in url}
        context = MigrationContext.configure(own.connection, opts=options)
        differences = [
            difference
            for difference in compare_metadata(context, metadata)
            if not (difference[0] == "remove_table" and difference[1].name == schema.VERSION_TABLE)
        ]
    assert differences == []


def test_the_names_of_all_constraints_are_given(url: str) -> None:
    """Constraints and indexes bear the same names on both databases, and all start with payments_."""
    upgrade(url)
    with connected(url) as own:
        found = inspect(own.connection)
        tables = sorted(name for name in found.get_table_names() if name != schema.VERSION_TABLE)
        assert tables == sorted(table.name for table in metadata.tables.values())
        for table in tables:
            # SQLite's AUTOINCREMENT is written with the column, where a key can have no name.
            nameless = (
                {f"{table}_pkey"} if "sqlite" in url and table in ("payments_inbox", "payments_outbox") else set()
            )
            made = nameless or {found.get_pk_constraint(table)["name"]}
            made |= {index["name"] for index in found.get_indexes(table)}
            made |= {unique["name"] for unique in found.get_unique_constraints(table)}
            made |= {key["name"] for key in found.get_foreign_keys(table)}
            made |= {rule["name"] for rule in found.get_check_constraints(table)}
            defined = metadata.tables[table]
            wanted = {one.name for one in (*defined.constraints, *defined.indexes)}
            assert made == wanted
            assert all(name is not None and name.startswith("payments_") for name in made)


def test_partial_indexes_have_their_conditions(url: str) -> None:
    """Alembic does not compare conditions: the migrated ones are those of the tables."""
    upgrade(url)
    catalogue = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%WHERE%'",
    }
    with connected(url) as own:
        dialect = own.connection.dialect.name
        found = {name: _bare(sql) for name, sql in own.connection.execute(text(catalogue[dialect]))}
    wanted = {
        "payments_inbox_due": "state = any array[0 1 4]" if dialect == "postgresql" else "state in 0 1 4",
        "payments_inbox_one_per_lane": "state = 1",
        "payments_inbox_dead": "state = 3",
        "payments_outbox_owed": "published_at is null and owed",
        "payments_outbox_parked": "parked_reason is not null and published_at is null",
        "payments_consumed_kept": "state <> 2",
        "payments_payment_quarantined": "state = quarantined",
        "payments_payment_caller": "caller_digest is not null",
        "payments_payment_user": "user_id is not null",
    }
    wanted["payments_inbox_lane"] = wanted["payments_inbox_due"]
    assert {name: sql.partition(" where ")[2] for name, sql in found.items()} == wanted


def _bare(sql: str) -> str:
    return " ".join(
        sql.lower()
        .replace("'", "")
        .replace("::text", "")
        .replace("(", " ")
        .replace(")", " ")
        .replace(",", " ")
        .replace("any  array", "any array")
        .split()
    )


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    """The list that `prepare` compares with is complete and in order."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    walked = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert walked[::-1] == list(schema.REVISIONS)


def test_upgrading_is_repeatable(url: str) -> None:
    """The second time changes nothing, and what is stored stays."""
    assert current(url) is None
    for _ in range(2):
        assert upgrade(url) == current(url) == schema.HEAD
    check(url)


def test_upgrading_leaves_a_newer_schema_alone(url: str) -> None:
    """An old version that is started again after the new one has migrated, its migration step with it, works on."""
    upgrade(url)
    with connected(url) as own:
        own.connection.execute(text("UPDATE payments_alembic_version SET version_num = '9999'"))
        own.connection.commit()
    assert upgrade(url) == current(url) == "9999"


def test_looking_creates_nothing(tmp_path: Path) -> None:
    """`current` and `check` of a file that is not there leave it so."""
    file = tmp_path / "payments.db"
    assert current(f"sqlite:///{file}") is None
    with pytest.raises(ConfigurationError, match="payments db upgrade"):
        check(f"sqlite:///{file}")
    assert not file.exists()


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_file_is_created_by_prepare(io: Io, tmp_path: Path) -> None:
    """An embedded file needs no command."""
    world = SqliteWorld(io, tmp_path)

    async def told() -> bool:
        return await (await world.open()).receive(received("evt_1"))

    assert world.run(told())
    assert current(world.url) == schema.HEAD


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_missing_directory_is_named(io: Io, tmp_path: Path) -> None:
    """It is not created in silence: that is more often a typing mistake than a wish."""
    world = SqliteWorld(io, tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="nowhere, which is no directory"):
        world.run(world.open())


@pytest.mark.parametrize("io", ["blocking", "async"])
def test_a_servers_missing_schema_is_not_created(io: Io, postgres_url: str) -> None:
    """A web worker refuses to start, with the command to run, and changes nothing."""
    world = PostgresWorld(io, postgres_url)
    with pytest.raises(ConfigurationError, match="has no payments schema; run `payments db upgrade`"):
        world.run(world.open())
    assert world.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_an_older_schema_is_refused_on_a_server(postgres_world: PostgresWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revision that this code knows as superseded is too old for it."""
    monkeypatch.setattr(schema, "REVISIONS", ("0000", schema.HEAD))
    postgres_world.query("UPDATE payments_alembic_version SET version_num = '0000'")
    with pytest.raises(
        ConfigurationError, match=f"has schema 0000, and {schema.HEAD} is needed; run `payments db upgrade`"
    ):
        postgres_world.run(postgres_world.open())


def test_a_newer_schema_is_accepted(postgres_world: PostgresWorld) -> None:
    """While a deployment rolls, the old version meets a schema that it does not know, and goes on."""
    postgres_world.query("UPDATE payments_alembic_version SET version_num = '9999'")

    async def told() -> bool:
        return await (await postgres_world.open()).receive(received("evt_1"))

    assert postgres_world.run(told())


def test_an_unreachable_server_is_store_unavailable() -> None:
    """Not a configuration mistake: it may come back."""
    with pytest.raises(StoreUnavailable):
        upgrade("postgresql://nobody:secret@127.0.0.1:1/nowhere")


STARTER = """
    import sys, time
    from payments_core.adapters.sql import blocking_store, upgrade
    from payments_core.domain.delivery import ReceivedEvent
    from payments_core.drive import run_blocking
    url, name = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    if "postgresql" in url:
        upgrade(url)
    store = blocking_store(url)
    run_blocking(store.prepare())
    assert run_blocking(store.receive(ReceivedEvent(name, "t", b"{}")))
    run_blocking(store.close())
"""


def test_processes_that_start_at_once_all_succeed(url: str) -> None:
    """Four processes on an empty database: one creates the schema, all of them work."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(STARTER), url]
    started = [
        subprocess.Popen(
            [*command, f"evt_{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=90) for process in started]
    assert [process.returncode for process in started] == [0] * 4, "".join(errors for _, errors in ended)
    check(url)


def test_a_migration_that_fails_leaves_nothing(url: str) -> None:
    """All of it is one transaction: a table in the way stops it, and no half schema stays behind."""
    with connected(url) as own:
        own.connection.execute(text("CREATE TABLE payments_outbox (mine integer)"))
        own.connection.commit()
    with pytest.raises(StoreUnavailable):
        upgrade(url)
    assert current(url) is None
    with connected(url) as own:
        assert inspect(own.connection).get_table_names() == ["payments_outbox"]
        own.connection.execute(text("DROP TABLE payments_outbox"))
        own.connection.commit()
    assert upgrade(url) == schema.HEAD


def test_bodies_are_compressed_by_lz4(postgres_world: PostgresWorld) -> None:
    """Where the server offers it, as the test's does."""
    offered = postgres_world.query(
        "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
    )
    found = postgres_world.query(
        "SELECT attcompression FROM pg_attribute WHERE attrelid = 'payments_inbox'::regclass AND attname = 'body'"
    )
    assert found == [("l",)] if offered else [("",)]


@pytest.mark.parametrize("abandoned", [True, False])
def test_a_claim_does_not_read_what_is_handled(url: str, *, abandoned: bool) -> None:
    """Among a thousand handled rows the claim finds the open ones by a partial index."""
    upgrade(url)
    name = database_url(url, "blocking").get_backend_name()
    statement = _due(literal(MOMENT, Instant) if name == "sqlite" else now_sql(name), literal(20), abandoned=abandoned)
    with connected(url) as own:
        rows = [
            {
                "account": "",
                "livemode": 0,
                "event_id": f"evt_{number}",
                "type": "t",
                "body": b"",
                "state": 2 if number else 0,
                "next_at": MOMENT,
                "token": 1,
                "attempts": 1,
                "received_at": MOMENT,
            }
            for number in range(1000)
        ]
        own.connection.execute(inbox.insert(), rows)
        own.connection.execute(text("ANALYZE"))
        sql = str(statement.compile(own.connection, compile_kwargs={"literal_binds": True}))
        prefix = "EXPLAIN QUERY PLAN" if name == "sqlite" else "EXPLAIN"
        plan = "\n".join(str(tuple(row)) for row in own.connection.exec_driver_sql(f"{prefix} {sql}"))
    # Leased events are few, and sorted when they are found; the others come sorted.
    assert ("payments_inbox_one_per_lane" if abandoned else "payments_inbox_due") in plan, plan
    assert "Seq Scan" not in plan, plan
    assert abandoned or "TEMP B-TREE" not in plan, plan
