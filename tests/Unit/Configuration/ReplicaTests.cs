using Xunit;

namespace CdcOrleans.Unit.Configuration;

/// <summary>The standbys of a source that its backfills may read from.</summary>
public sealed class ReplicaTests
{
    private const string Postgres = "postgres: { connection: Host=127.0.0.1;Database=shop }";
    private const string Reporting = "Host=r;Database=shop;Username=cdc;Password=geheim";

    [Theory]
    [InlineData("{ mode: initial, replica: reporting }")]
    [InlineData("{ replica: reporting }")]
    public void A_source_names_the_one_that_is_read(string backfill)
    {
        var source = Reader.ReadWith(Postgres, With("{ other: Host=o;Database=shop, reporting: \"${R}\" }", backfill), ("R", Reporting)).Sources["shop"];
        Assert.Equal(["other", "reporting"], source.Replicas.Keys);
        Assert.Equal((Reporting, "reporting"), (source.Replicas["reporting"], source.BackfillReplica));
        Assert.DoesNotContain("geheim", source.Replicas.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_one_the_source_itself_is_read()
    {
        var source = Reader.Read(Reader.Fine).Sources["shop"];
        Assert.Empty(source.Replicas);
        Assert.Null(source.BackfillReplica);
        Assert.Null(Reader.ReadWith(Postgres, With("{ reporting: Host=r;Database=shop }", "initial")).Sources["shop"].BackfillReplica);
    }

    [Theory]
    [InlineData("{ reporting: Host=r;Database=shop, other: Host=o;Database=shop }", "{ replica: reportin }",
        "6:26: sources.shop.backfill.replica: 'reportin' is not a replica of the source; did you mean 'reporting'? its replicas are other, reporting")]
    [InlineData("{ reporting: Host=r;Database=shop }", "{ replica: standby }",
        "6:26: sources.shop.backfill.replica: 'standby' is not a replica of the source; its replicas are reporting")]
    [InlineData("{ reporting: Host=r;Database=shop }", "{ replica: [reporting] }", "6:26: sources.shop.backfill.replica: expected a single value, found a list")]
    [InlineData("", "{ replica: reporting }",
        "6:26: sources.shop.backfill.replica: 'reporting' is not a replica: the source has none; name its standbys under 'postgres', such as 'replicas: { reporting: Host=127.0.0.1;Database=shop;Username=cdc }'")]
    [InlineData("{}", "never", "5:59: sources.shop.postgres.replicas: is empty; name at least one standby, such as 'standby: Host=127.0.0.1;Database=shop;Username=cdc', or leave it out")]
    [InlineData("Host=r;Database=shop", "never", "5:69: sources.shop.postgres.replicas: expected a mapping (key: value), found a single value")]
    [InlineData("{ reporting: Host=r }", "never", "5:82: sources.shop.postgres.replicas.reporting: names no Database; write for example Host=127.0.0.1;Database=shop;Username=cdc")]
    [InlineData("{ reporting: geheim }", "never", "5:82: sources.shop.postgres.replicas.reporting: is not a connection string; write keyword=value pairs separated by ';', such as Host=127.0.0.1;Database=shop;Username=cdc")]
    [InlineData("{ reporting: }", "never", "5:82: sources.shop.postgres.replicas.reporting: expected a single value, found nothing")]
    [InlineData("{ 'a b': Host=r;Database=shop }", "never", "5:71: sources.shop.postgres.replicas.a b: 'a b' is not a name of a replica; write letters, digits, '_' and '-'")]
    public void What_is_not_possible_is_refused_with_place_and_remedy(string replicas, string backfill, string expected) =>
        Assert.Equal($"cdc.yaml:{expected}", Reader.RefusedWith(Postgres, With(replicas, backfill)));

    private static string With(string replicas, string backfill) =>
        $"postgres: {{ connection: Host=127.0.0.1;Database=shop{(replicas.Length > 0 ? $", replicas: {replicas}" : "")} }}\n    backfill: {backfill}";
}
