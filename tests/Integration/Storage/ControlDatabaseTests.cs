using System.Globalization;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace CdcOrleans.Integration.Storage;

public class ControlDatabaseTests(ControlServer control)
{
    private const string Tables =
        "SELECT string_agg(table_schema || '.' || table_name, ' ' ORDER BY table_schema, table_name) "
        + "FROM information_schema.tables WHERE table_schema IN ('cdc', 'orleans', 'public')";

    private static readonly string Migrations =
        typeof(ControlDatabase).Assembly.GetManifestResourceNames().Count(n => n.EndsWith(".sql", StringComparison.Ordinal)).ToString(CultureInfo.InvariantCulture);

    [Fact]
    public async Task Migrating_twice_changes_nothing()
    {
        var connection = await control.Server.CreateDatabase("twice");
        await Migrate(connection);
        var tables = await PostgresServer.Scalar(connection, Tables);
        var journal = await PostgresServer.Scalar(connection, "SELECT string_agg(scriptname || '@' || applied, ' ' ORDER BY scriptname) FROM cdc.migrations");
        await Migrate(connection);
        Assert.Equal(
            "cdc.audit cdc.backfill_chunks cdc.backfill_fences cdc.backfill_tables cdc.backfills cdc.dead_letters cdc.entity_states cdc.initial_backfills cdc.journal_rows cdc.journal_segments cdc.journals cdc.migrations cdc.origins cdc.parked_entities cdc.parked_events cdc.partitions cdc.paused_sinks cdc.relations cdc.replay_tables cdc.replays cdc.sources cdc.table_schemas cdc.tables "
            + "orleans.clusters orleans.grain_states orleans.members orleans.orleansquery orleans.reminders",
            tables);
        Assert.Equal(tables, await PostgresServer.Scalar(connection, Tables));
        Assert.Contains("0001_orleans.sql@", journal, StringComparison.Ordinal);
        Assert.Equal(journal, await PostgresServer.Scalar(connection, "SELECT string_agg(scriptname || '@' || applied, ' ' ORDER BY scriptname) FROM cdc.migrations"));
    }

    [Fact]
    public async Task Many_silos_may_begin_at_once_even_without_a_database()
    {
        var connection = new NpgsqlConnectionStringBuilder(control.Server.Connection()) { Database = "at \"once\"" }.ConnectionString;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Migrate(connection)));
        Assert.Equal(Migrations, await PostgresServer.Scalar(connection, "SELECT count(*) FROM cdc.migrations"));
    }

    [Fact]
    public async Task A_wrong_password_is_named_but_not_shown()
    {
        var connection = $"{control.Server.Connection("postgres", "secured")};Password=geheim";
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate(connection));
        Assert.Equal(
            $"Control database \"postgres\" on 127.0.0.1:{control.Server.Port} (user \"secured\") refuses the password. "
            + "Remedy: correct Password in control.connection (or the passfile it names).",
            trouble.Message);
        Assert.DoesNotContain("geheim", trouble.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_password_is_named()
    {
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate(control.Server.Connection("postgres", "secured")));
        Assert.Contains("requires a password", trouble.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_user_is_named()
    {
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate(control.Server.Connection("postgres", "nobody_at_all")));
        Assert.Contains("refuses the user: role \"nobody_at_all\" does not exist. Remedy: create the role", trouble.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_out_of_reach_is_named()
    {
        var port = PostgresServer.FreePort();
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate($"Host=127.0.0.1;Port={port};Database=cdc;Username=u;Password=geheim"));
        Assert.StartsWith($"Control database \"cdc\" on 127.0.0.1:{port} (user \"u\") cannot be reached. Remedy: ", trouble.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", trouble.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_database_that_the_user_may_not_create_is_named_with_its_remedy()
    {
        var connection = $"{control.Server.Connection("not_there", "secured")};Password=correct";
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate(connection));
        Assert.Equal(
            $"Control database \"not_there\" on 127.0.0.1:{control.Server.Port} (user \"secured\") does not exist and the user may not create it. "
            + "Remedy: as a superuser run CREATE DATABASE \"not_there\" OWNER \"secured\";",
            trouble.Message);
    }

    [Fact]
    public async Task A_database_of_somebody_else_is_named_with_its_remedy()
    {
        await control.Server.CreateDatabase("somebodys");
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate($"{control.Server.Connection("somebodys", "secured")};Password=correct"));
        Assert.Contains("Remedy: make the user owner of the database, or run GRANT CREATE, CONNECT ON DATABASE \"somebodys\" TO \"secured\";", trouble.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_isolation_level_that_would_break_the_fence_is_refused()
    {
        var connection = await control.Server.CreateDatabase("isolated");
        await PostgresServer.Execute(connection, "ALTER DATABASE isolated SET default_transaction_isolation = 'repeatable read'");
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate(connection));
        Assert.Contains("SET default_transaction_isolation = 'read committed'", trouble.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_migration_that_fails_is_named_and_leaves_nothing_of_itself()
    {
        var connection = await control.Server.CreateDatabase("in_the_way");
        await PostgresServer.Execute(connection, "CREATE SCHEMA cdc; CREATE TABLE cdc.partitions (of_another int)");
        var trouble = await Assert.ThrowsAsync<ControlDatabaseException>(() => Migrate(connection));
        Assert.StartsWith("Migration 0002_progress.sql failed. Control database \"in_the_way\"", trouble.Message, StringComparison.Ordinal);
        Assert.Equal("1", await PostgresServer.Scalar(connection, "SELECT count(*) FROM cdc.migrations"));
        Assert.Equal("", await PostgresServer.Scalar(connection, "SELECT to_regclass('cdc.sources')::text"));

        await PostgresServer.Execute(connection, "DROP TABLE cdc.partitions");
        await Migrate(connection);
        Assert.Equal(Migrations, await PostgresServer.Scalar(connection, "SELECT count(*) FROM cdc.migrations"));
    }

    private static Task Migrate(string connection) => ControlDatabase.Migrate(connection, NullLogger.Instance, TestContext.Current.CancellationToken);
}
