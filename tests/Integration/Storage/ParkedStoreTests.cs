using System.Text;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Parked events in the control database: they come and go with checkpoints, and are read in order.</summary>
public sealed class ParkedStoreTests(ControlServer control) : IAsyncLifetime
{
    private const string Sink = "other";

    private static readonly EntityKey A = new("public.orders", "a");

    // Too long for an index.
    private static readonly EntityKey Odd = new("public.orders", new string('ä', 5000));

    private ControlStores _stores = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        await _stores.BeginShop();
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task Events_are_read_whole_and_in_order_from_where_they_are_asked()
    {
        KeyValuePair<string, byte[]>[] headers = [new("h", [0, 255]), new("", [])];
        var made = Event(A, 12, part: 0, [1, 2], headers);
        await Commit([Event(Odd, 11, 0, null), made, Event(A, 12, 1, null), Event(A, 13, 0, [3])], [], [State(A, 3), State(Odd, 1)]);

        var found = await Read([(Odd, default), (A, default)]);
        Assert.Equal([(Odd, 11UL, 0), (A, 12UL, 0), (A, 12UL, 1), (A, 13UL, 0)], found.Select(f => (f.Event.Entity, f.Place.CommitLsn.Value, f.Event.Part)));
        var same = found[1].Event;
        Assert.Equal((made.Topic, made.SchemaVersion, made.Version, made.Source, EventOrigin.Redelivery), (same.Topic, same.SchemaVersion, same.Version, same.Source, same.Origin));
        Assert.Equal(made.Key, same.Key);
        Assert.Equal(made.Value, same.Value);
        Assert.Equal(headers, same.Headers!, (x, y) => x.Key == y.Key && x.Value.AsSpan().SequenceEqual(y.Value));
        Assert.Null(found[2].Event.Value);
        Assert.Null(found[2].Event.Headers);

        Assert.Equal([(12UL, 1), (13UL, 0)], (await Read([(A, found[1].Position)])).Select(f => (f.Place.CommitLsn.Value, f.Event.Part)));
        Assert.Equal(12UL, Assert.Single(await Read([(A, default)], most: 1)).Place.CommitLsn.Value);
        Assert.Equal([(Odd, 11UL), (A, 12UL)], (await Read([(Odd, default), (A, default)], mostBytes: 1)).Select(f => (f.Event.Entity, f.Place.CommitLsn.Value)));
    }

    [Fact]
    public async Task What_is_known_of_an_entity_is_kept_until_it_is_over_even_without_an_event()
    {
        await Commit([Event(A, 12, 0, [1])], [], [State(A, 1)]);
        var state = State(A, 0) with { Attempts = 7, LastError = "no\0nul", IsBlocked = true };
        await Commit([], [Id(A, 12)], [state]);
        Assert.Empty(await Read([(A, default)]));
        var kept = Assert.Single(await _stores.Parked.ReadEntities("shop", 0, default));
        Assert.Equal((0, 7, true, state.Newest, state.DueAt), (kept.Events, kept.Attempts, kept.IsBlocked, kept.Newest, kept.DueAt));
        Assert.Empty(await _stores.Parked.ReadEntities("shop", 1, default));
        Assert.Empty(await _stores.Parked.ReadEntities("mall", 0, default));

        await Commit([], [], [state with { IsOver = true }]);
        Assert.Empty(await _stores.Parked.ReadEntities("shop", 0, default));
    }

    [Fact]
    public async Task An_event_that_came_and_went_between_two_checkpoints_leaves_nothing_and_a_repeated_checkpoint_changes_nothing()
    {
        for (var i = 0; i < 2; i++)
            await Commit([Event(A, 12, 0, [1]), Event(A, 13, 0, [2])], [Id(A, 12)], [State(A, 1)]);
        Assert.Equal(13UL, Assert.Single(await Read([(A, default)])).Place.CommitLsn.Value);
    }

    [Fact]
    public async Task A_stale_owner_parks_and_unparks_nothing()
    {
        await Commit([Event(A, 12, 0, [1])], [], [State(A, 1)]);
        await _stores.Checkpoints.Claim("shop", 0, "silo-2", default);
        await Assert.ThrowsAsync<StaleOwnerException>(() => Commit([Event(Odd, 13, 0, [1])], [Id(A, 12)], [State(A, 0) with { IsOver = true }, State(Odd, 1)]));
        Assert.Equal([A], (await Read([(A, default), (Odd, default)])).Select(f => f.Event.Entity));
        Assert.Equal([A], (await _stores.Parked.ReadEntities("shop", 0, default)).Select(e => e.Entity));
    }

    [Fact]
    public async Task Thousands_of_events_are_parked_in_one_checkpoint()
    {
        var entities = Enumerable.Range(0, 5000).Select(i => new EntityKey("public.orders", $"{i}")).ToArray();
        await Commit([.. entities.Select((e, i) => Event(e, 12 + (ulong)i, 0, new byte[2000]))], [], [.. entities.Select(e => State(e, 1))]);
        Assert.Equal(5000, (await _stores.Parked.ReadEntities("shop", 0, default)).Count);
        await Commit([], [.. entities.Select((e, i) => Id(e, 12 + (ulong)i))], [.. entities.Select(e => State(e, 0) with { IsOver = true })]);
        Assert.Equal("0", await _stores.Scalar("SELECT (SELECT count(*) FROM cdc.parked_events) + (SELECT count(*) FROM cdc.parked_entities)"));
    }

    private Task<IReadOnlyList<ParkedEvent>> Read((EntityKey Entity, ParkedPosition After)[] entities, int most = 100, long mostBytes = 1 << 20) =>
        _stores.Parked.ReadEvents("shop", Sink, entities, most, mostBytes, default);

    private Task<IReadOnlyList<EntityKey>> Commit(SinkEvent[] events, ParkedEventId[] removed, ParkedEntityState[] states) => _stores.Checkpoints.Commit(
        new Checkpoint("shop", 1,
        [
            Partition(0, 1, At(20_000)) with
            {
                Parked = [.. events.Select(e => new ParkedEvent(Sink, e.Version, e, DateTimeOffset.UnixEpoch))], Unparked = removed, ParkedEntities = states,
            },
        ]),
        default);

    private static SinkEvent Event(EntityKey entity, ulong lsn, int part, byte[]? value, KeyValuePair<string, byte[]>[]? headers = null) => new()
    {
        Topic = "shop.public.orders", Entity = entity, Key = Encoding.UTF8.GetBytes("k"), Value = value, Source = "shop", Version = At(lsn), Part = part,
        Origin = EventOrigin.Stream, SchemaVersion = 4, Headers = headers,
    };

    private static ParkedEventId Id(EntityKey entity, ulong lsn) => new(Sink, entity, new ParkedPosition(At(lsn), At(lsn), 0));

    private static ParkedEntityState State(EntityKey entity, int events) => new()
    {
        Entity = entity, Sink = Sink, Events = events, Bytes = 100, Newest = new ParkedPosition(At(13), At(13), 0), Attempts = 1,
        FirstTriedAt = DateTimeOffset.UnixEpoch, DueAt = DateTimeOffset.UnixEpoch.AddSeconds(5),
    };
}
