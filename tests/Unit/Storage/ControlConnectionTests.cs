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
    public void Words_name_the_place_and_not_the_password()
    {
        var settings = ControlConnection.Parse("Host=db;Port=5433;Database=cdc;Username=u;Password=geheim");
        Assert.Equal("Control database \"cdc\" on db:5433 (user \"u\")", ControlConnection.Describe(settings));
    }
}
