using System.Net;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Storage;
using Xunit;

namespace CdcOrleans.Integration.Storage;

/// <summary>Orleans' own ADO.NET providers on our tables, in a silo that runs.</summary>
public sealed class OrleansProvidersTests(ControlServer control) : IAsyncLifetime
{
    private const string Kept = "kept";
    private const string Deleted = "deleted";

    private ControlStores _stores = null!;
    private IHost _silo = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        _silo = Silo("shop");
        await _silo.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _silo.StopAsync();
        _silo.Dispose();
        await _stores.DisposeAsync();
    }

    [Fact]
    public async Task A_silo_joins_is_found_and_leaves()
    {
        Assert.Equal("127.0.0.1 3", await _stores.Scalar("SELECT address || ' ' || status FROM orleans.members WHERE cluster_id = 'shop'"));
        var members = await _silo.Services.GetRequiredService<IMembershipTable>().ReadAllAsync(default);
        var (member, _) = Assert.Single(members.Members);
        Assert.Equal(_silo.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress, member.SiloAddress);
        Assert.True(DateTime.UtcNow - member.IAmAliveTime < TimeSpan.FromMinutes(2));
        await _silo.StopAsync();
        Assert.Equal("6", await _stores.Scalar("SELECT status FROM orleans.members"));
    }

    [Fact]
    public async Task A_client_finds_the_silo()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleansClient(client => client
            .Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = ("shop", "shop"))
            .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = (ControlDatabase.OrleansInvariant, ControlDatabase.OrleansConnection(_stores.Connection))));
        using var client = builder.Build();
        await client.StartAsync();
        var hosts = await client.Services.GetRequiredService<IClusterClient>().GetGrain<IManagementGrain>(0).GetHosts(onlyActive: true);
        Assert.Single(hosts);
        await client.StopAsync();
    }

    [Fact]
    public async Task Membership_changes_only_by_the_version_that_was_read()
    {
        using var asleep = Silo("mall");
        var table = asleep.Services.GetRequiredService<IMembershipTable>();
        await table.InitializeMembershipTableAsync(true, default);
        var read = await table.ReadAllAsync(default);
        var dead = Member(11, SiloStatus.Dead);
        Assert.True(await table.InsertRowAsync(dead, read.Version.Next(), default));
        Assert.False(await table.InsertRowAsync(Member(12, SiloStatus.Joining), read.Version.Next(), default));

        var now = (await table.ReadAllAsync(default)).Version;
        Assert.Equal(read.Version.Version + 1, now.Version);
        Assert.False(await table.InsertRowAsync(dead, now.Next(), default));
        Assert.Equal(now.Version, (await table.ReadAllAsync(default)).Version.Version);
        Assert.False(await table.UpdateRowAsync(Member(13, SiloStatus.Dead), "none", now.Next(), default));
        Assert.Equal(now.Version, (await table.ReadAllAsync(default)).Version.Version);

        var (_, etag) = Assert.Single((await table.ReadRowAsync(dead.SiloAddress, default)).Members);
        dead.AddSuspector(_silo.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress, new DateTime(2020, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        Assert.False(await table.UpdateRowAsync(dead, etag, read.Version.Next(), default));
        Assert.True(await table.UpdateRowAsync(dead, etag, now.Next(), default));
        var (stored, _) = Assert.Single((await table.ReadRowAsync(dead.SiloAddress, default)).Members);
        Assert.Equal((SiloStatus.Dead, "old", dead.StartTime), (stored.Status, stored.SiloName, stored.StartTime));
        Assert.Equal(dead.SuspectTimes, stored.SuspectTimes);
        Assert.Empty((await table.ReadRowAsync(Member(12, SiloStatus.Dead).SiloAddress, default)).Members);

        dead.IAmAliveTime = dead.IAmAliveTime.AddSeconds(1);
        await table.UpdateIAmAliveAsync(dead, default);
        (stored, _) = Assert.Single((await table.ReadRowAsync(dead.SiloAddress, default)).Members);
        Assert.Equal(dead.IAmAliveTime, stored.IAmAliveTime);
    }

    [Fact]
    public async Task Only_long_dead_silos_are_swept_out()
    {
        using var asleep = Silo("mall");
        var table = asleep.Services.GetRequiredService<IMembershipTable>();
        await table.InitializeMembershipTableAsync(true, default);
        Assert.True(await table.InsertRowAsync(Member(11, SiloStatus.Dead), (await table.ReadAllAsync(default)).Version.Next(), default));
        Assert.True(await table.InsertRowAsync(Member(12, SiloStatus.Active), (await table.ReadAllAsync(default)).Version.Next(), default));
        await table.CleanupDefunctSiloEntriesAsync(Member(0, SiloStatus.Dead).StartTime.AddDays(-1), default);
        Assert.Equal(2, (await table.ReadAllAsync(default)).Members.Count);
        await table.CleanupDefunctSiloEntriesAsync(Member(0, SiloStatus.Dead).StartTime.AddDays(1), default);
        Assert.Equal([SiloStatus.Active], (await table.ReadAllAsync(default)).Members.Select(m => m.Item1.Status));
    }

    [Fact]
    public async Task A_cluster_can_be_removed_whole()
    {
        var table = _silo.Services.GetRequiredService<IMembershipTable>();
        await PostgresServer.Execute(_stores.Connection,
            """
            INSERT INTO orleans.clusters (cluster_id) VALUES ('mall');
            INSERT INTO orleans.members SELECT 'mall', address, port, generation, silo_name, host_name, status, proxy_port, suspect_times, start_time, alive_time FROM orleans.members;
            """);
        await table.DeleteMembershipTableEntriesAsync("mall", default);
        Assert.Equal("shop shop", await _stores.Scalar("SELECT (SELECT string_agg(cluster_id, ',') FROM orleans.members) || ' ' || (SELECT string_agg(cluster_id, ',') FROM orleans.clusters)"));
    }

    [Theory]
    [InlineData(Kept)]
    [InlineData(Deleted)]
    public async Task Grain_state_is_written_read_and_cleared_by_its_version(string name)
    {
        var storage = _silo.Services.GetRequiredKeyedService<IGrainStorage>(name);
        var grain = GrainId.Create(GrainType.Create("note"), GrainIdKeyExtensions.CreateIntegerKey(7, "shop"));
        var mine = new GrainState<Note>();
        await storage.ReadStateAsync("note", grain, mine);
        Assert.Equal((false, null), (mine.RecordExists, mine.ETag));

        mine.State = new Note { Text = "first" };
        await storage.WriteStateAsync("note", grain, mine);
        Assert.Equal("1", mine.ETag);
        var rival = new GrainState<Note>(new Note { Text = "rival" });
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.WriteStateAsync("note", grain, rival));

        await storage.ReadStateAsync("note", grain, rival);
        Assert.Equal(("first", "1", true), (rival.State?.Text, rival.ETag, rival.RecordExists));
        mine.State = new Note { Text = "second" };
        await storage.WriteStateAsync("note", grain, mine);
        Assert.Equal("2", mine.ETag);
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.WriteStateAsync("note", grain, rival));
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.ClearStateAsync("note", grain, rival));

        var neighbour = new GrainState<Note>();
        await storage.ReadStateAsync("note", GrainId.Create(GrainType.Create("note"), GrainIdKeyExtensions.CreateIntegerKey(7)), neighbour);
        Assert.False(neighbour.RecordExists);

        await storage.ClearStateAsync("note", grain, mine);
        await storage.ReadStateAsync("note", grain, mine);
        Assert.False(mine.RecordExists);
        mine.State = new Note { Text = "third" };
        await storage.WriteStateAsync("note", grain, mine);
        await storage.ReadStateAsync("note", grain, rival);
        Assert.Equal(("third", name == Kept ? "4" : "1"), (rival.State?.Text, rival.ETag));
        Assert.Equal("1", await _stores.Scalar("SELECT count(*) FROM orleans.grain_states"));
    }

    [Fact]
    public async Task Of_many_first_writes_one_succeeds()
    {
        var storage = _silo.Services.GetRequiredKeyedService<IGrainStorage>(Kept);
        var grain = GrainId.Create("note", "contested");
        var written = await Task.WhenAll(Enumerable.Range(0, 16).Select(async i =>
        {
            try
            {
                await storage.WriteStateAsync("note", grain, new GrainState<Note>(new Note { Text = $"{i}" }));
                return 1;
            }
            catch (InconsistentStateException)
            {
                return 0;
            }
        }));
        Assert.Equal(1, written.Sum());
        Assert.Equal("1 1", await _stores.Scalar("SELECT count(*) || ' ' || max(version) FROM orleans.grain_states"));
    }

    [Fact]
    public async Task Reminders_are_kept_found_by_range_and_removed_by_version()
    {
        var table = _silo.Services.GetRequiredService<IReminderTable>();
        var grains = Enumerable.Range(0, 40).Select(i => GrainId.Create("reader", $"shop{i}")).ToList();
        var start = new DateTime(2030, 1, 2, 3, 4, 5, DateTimeKind.Utc);
        foreach (var grain in grains)
            await table.UpsertRow(Reminder(grain, "wake", start, TimeSpan.FromMinutes(1)));
        var first = (await table.ReadRow(grains[0], "wake"))!;
        Assert.Equal((grains[0], "wake", start, TimeSpan.FromMinutes(1)), (first.GrainId, first.ReminderName, first.StartAt, first.Period));

        var etag = (await table.UpsertRow(Reminder(grains[0], "wake", start, TimeSpan.FromDays(60))))!;
        Assert.NotEqual(first.ETag, etag);
        Assert.Equal(TimeSpan.FromDays(60), (await table.ReadRow(grains[0], "wake"))!.Period);
        await table.UpsertRow(Reminder(grains[0], "sleep", start, TimeSpan.FromMinutes(1)));
        Assert.Equal(["sleep", "wake"], (await table.ReadRows(grains[0])).Reminders.Select(r => r.ReminderName).Order());

        foreach (var (begin, end) in ((uint, uint)[])[(0u, 0u), (0u, 0x8000_0000u), (0x4000_0000u, 0xC000_0000u), (0xC000_0000u, 0x4000_0000u)])
        {
            var expected = grains.Where(g => Within(g.GetUniformHashCode(), begin, end)).Order();
            var found = (await table.ReadRows(begin, end)).Reminders.Where(r => r.ReminderName == "wake").Select(r => r.GrainId).Order();
            Assert.Equal(expected, found);
        }

        Assert.False(await table.RemoveRow(grains[0], "wake", first.ETag!));
        Assert.True(await table.RemoveRow(grains[0], "wake", etag));
        Assert.Null(await table.ReadRow(grains[0], "wake"));
    }

    private IHost Silo(string cluster)
    {
        var connection = ControlDatabase.OrleansConnection(_stores.Connection);
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.UseOrleans(silo => silo
            .Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (cluster, "shop"))
            .ConfigureEndpoints(IPAddress.Loopback, PostgresServer.FreePort(), PostgresServer.FreePort())
            .UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = (ControlDatabase.OrleansInvariant, connection))
            .UseAdoNetReminderService(o => (o.Invariant, o.ConnectionString) = (ControlDatabase.OrleansInvariant, connection))
            .AddAdoNetGrainStorage(Kept, o => (o.Invariant, o.ConnectionString) = (ControlDatabase.OrleansInvariant, connection))
            .AddAdoNetGrainStorage(Deleted, o => (o.Invariant, o.ConnectionString, o.DeleteStateOnClear) = (ControlDatabase.OrleansInvariant, connection, true)));
        return builder.Build();
    }

    private static bool Within(uint hash, uint begin, uint end) =>
        begin < end ? hash > begin && hash <= end : hash > begin || hash <= end;

    private static ReminderEntry Reminder(GrainId grain, string name, DateTime start, TimeSpan period) =>
        new() { GrainId = grain, ReminderName = name, StartAt = start, Period = period };

    private static MembershipEntry Member(int port, SiloStatus status) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Loopback, port, 1),
        SiloName = "old",
        HostName = "here",
        Status = status,
        ProxyPort = 0,
        StartTime = new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc),
        IAmAliveTime = new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc),
    };

    public sealed class Note
    {
        public string Text { get; set; } = "";
    }
}
