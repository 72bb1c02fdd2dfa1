using CdcOrleans.Storage.Postgres;
using Npgsql;
using Xunit;

namespace CdcOrleans.Unit.Storage;

public class ControlConnectionTests
{
    [Theory]
    [InlineData("Host=db;Passwort=geheim")]
    [InlineData("Host=db;Password='geheim")]
    [InlineData("Host=db;Port=geheim")]
    [InlineData("Database=cdc;Password=geheim")]
    public void A_bad_connection_string_is_refused_without_its_secrets(string connection)
    {
        var trouble = Assert.Throws<ControlDatabaseException>(() => ControlConnection.Parse(connection));
        Assert.Contains("Remedy", trouble.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", trouble.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Orleans_finds_its_tables_by_the_search_path()
    {
        var settings = new NpgsqlConnectionStringBuilder(ControlDatabase.OrleansConnection("Host=db;Database=cdc;Username=u;Search Path=other"));
        Assert.Equal(("db", "cdc", "u", "orleans"), (settings.Host, settings.Database, settings.Username, settings.SearchPath));
    }

    [Theory]
    [InlineData("Host=db", 32)]
    [InlineData("Host=db;Max Auto Prepare=0", 0)]
    [InlineData("Host=db;maxautoprepare=7", 7)]
    public void Statements_are_prepared_unless_the_connection_string_decides(string connection, int expected) =>
        Assert.Equal(expected, new NpgsqlConnectionStringBuilder(ControlConnection.ForStore(connection)).MaxAutoPrepare);

    [Theory]
    [InlineData("Host=db", 20)]
    [InlineData("Host=db;Maximum Pool Size=7", 7)]
    [InlineData("Host=db;maxpoolsize=50", 50)]
    public void Pools_are_bounded_unless_the_connection_string_decides(string connection, int expected)
    {
        Assert.Equal(expected, new NpgsqlConnectionStringBuilder(ControlConnection.ForStore(connection)).MaxPoolSize);
        Assert.Equal(expected, new NpgsqlConnectionStringBuilder(ControlDatabase.OrleansConnection(connection)).MaxPoolSize);
    }

    [Fact]
    public void Questions_have_a_small_pool_of_their_own_and_do_not_wait_for_long()
    {
        var settings = new NpgsqlConnectionStringBuilder(ControlConnection.ForQueries("Host=db;Maximum Pool Size=50;Minimum Pool Size=10;Timeout=60"));
        Assert.Equal((4, 4, 2), (settings.MaxPoolSize, settings.MinPoolSize, settings.Timeout));
    }

    [Theory]
    [InlineData("Host=db")]
    [InlineData("Host=db;Options=-c lock_timeout=1s")]
    public void Sessions_have_time_limits_and_the_connection_string_wins(string connection)
    {
        foreach (var made in (string[])[ControlConnection.ForStore(connection), ControlConnection.ForQueries(connection), ControlDatabase.OrleansConnection(connection)])
        {
            var options = new NpgsqlConnectionStringBuilder(made).Options!;
            Assert.StartsWith("-c idle_in_transaction_session_timeout=10s -c lock_timeout=30s", options, StringComparison.Ordinal);
            Assert.EndsWith(new NpgsqlConnectionStringBuilder(connection).Options ?? "tcp_user_timeout=15s", options, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Words_name_the_place_and_not_the_password()
    {
        var settings = ControlConnection.Parse("Host=db;Port=5433;Database=cdc;Username=u;Password=geheim");
        Assert.Equal("Control database \"cdc\" on db:5433 (user \"u\")", ControlConnection.Describe(settings));
    }
}
