using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Pauses of sinks, and counts of what is stored for them.</summary>
public sealed class SinkStoreTests(ControlServer control) : IAsyncLifetime
{
    private ControlStores _stores = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        await _stores.BeginShop();
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task A_pause_stays_as_it_was_made_until_it_is_ended()
    {
        Assert.Empty(await _stores.Sinks.Paused(default));
        Assert.Null(await _stores.Sinks.Resume("events", default));
        var (pause, isNew) = await _stores.Sinks.Pause("events", "Zoë\0", default);
        Assert.True(isNew);
        Assert.Equal(("events", true), (pause.Sink, pause.Who.StartsWith("Zoë", StringComparison.Ordinal)));
        Assert.Equal((pause, false), await _stores.Sinks.Pause("events", "another", default));
        Assert.Equal(pause, Assert.Single(await _stores.Sinks.Paused(default)));
        Assert.Equal(pause, await _stores.Sinks.Resume("events", default));
        Assert.Empty(await _stores.Sinks.Paused(default));
    }

    [Fact]
    public async Task Of_many_who_pause_and_resume_at_once_each_gets_a_pause_or_an_end()
    {
        var pauses = await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            if (i % 2 == 0)
                return (await _stores.Sinks.Pause("events", $"{i}", default)).IsNew ? 1 : 0;
            return await _stores.Sinks.Resume("events", default) is null ? 0 : -1;
        }));
        Assert.Equal(pauses.Sum(), (await _stores.Sinks.Paused(default)).Count);
    }

    [Fact]
    public async Task What_is_stored_is_counted_by_source_sink_and_table()
    {
        Assert.Empty(await _stores.Sinks.Backlogs(default));
        await _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Parked(0, 1, "1", 5) with
        {
            DeadLetters = [Letter("2", "other"), Letter("3", "other"), Letter("4", "files")],
        }]), default);
        var stored = (await _stores.Sinks.Backlogs(default)).OrderBy(s => s.Sink).ToList();
        Assert.Equal(new SinkBacklog("shop", "files", "public.orders", 1, 0, 0, null), stored[0]);
        var bytes = long.Parse((await _stores.Scalar("SELECT bytes FROM cdc.parked_entities"))!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(new SinkBacklog("shop", "other", "public.orders", 2, 1, bytes, DateTimeOffset.UnixEpoch), stored[1]);
        Assert.Equal(2, stored.Count);
    }

    private static DeadLetter Letter(string key, string sink) => new()
    {
        Entity = new EntityKey("public.orders", key), Version = At(5), Sink = sink, Topic = "shop.public.orders", Key = [1], Value = [2], Error = "too large",
    };
}
