using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Dead letters in the control database: whole, found, grouped, claimed once.</summary>
public sealed class DeadLetterStoreTests(ControlServer control) : IAsyncLifetime
{
    private static readonly LetterFilter All = new();

    private ControlStores _stores = null!;

    public async ValueTask InitializeAsync()
    {
        _stores = await control.Migrated();
        await _stores.BeginShop();
    }

    public ValueTask DisposeAsync() => _stores.DisposeAsync();

    [Fact]
    public async Task A_letter_is_read_as_it_was_written()
    {
        KeyValuePair<string, byte[]>[] headers = [new("h", [0, 255]), new("", [])];
        var first = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
        await Commit(Letter("1", At(5, 2), [9, 8]) with
        {
            Headers = headers, SchemaVersion = 4, Origin = EventOrigin.Redelivery, Part = 1, Attempts = 7, FirstFailedAt = first,
        });
        await Commit(Letter("2", At(6), null) with { Key = null, HasEvent = false });

        var letters = await _stores.Letters.List(All, 0, 10, default);
        var whole = await _stores.Letters.Get(letters[0].Id, default);
        var summary = whole!.Summary;
        Assert.Equal(
            ("shop", "events", new EntityKey("public.orders", "1"), At(5, 2), 1, "shop.public.orders", true, 4),
            (summary.Source, summary.Sink, summary.Entity, summary.Version, summary.Part, summary.Topic, summary.HasEvent, summary.SchemaVersion));
        Assert.Equal((EventOrigin.Redelivery, 7, first, "too large", 4L, false), (summary.Origin, summary.Attempts, summary.FirstFailedAt, summary.Error, summary.Bytes, summary.IsRedelivering));
        Assert.True(summary.LastFailedAt > first);
        Assert.Equal([1, 2], whole.Key);
        Assert.Equal([9, 8], whole.Value);
        Assert.Equal(headers, whole.Headers!, (x, y) => x.Key == y.Key && x.Value.AsSpan().SequenceEqual(y.Value));
        Assert.False(letters[1].HasEvent);
        Assert.Equal(letters[1].LastFailedAt, letters[1].FirstFailedAt);
        Assert.Null(await _stores.Letters.Get(99, default));

        await Commit(Letter("3", At(7), new byte[StoredLetter.MostShown]));
        var large = (await List(new LetterFilter { Key = "3" }))[0];
        Assert.Equal(StoredLetter.MostShown + 2, large.Bytes);
        Assert.Null((await _stores.Letters.Get(large.Id, default))!.Value);
        Assert.Equal(StoredLetter.MostShown, Assert.Single(await _stores.Letters.Claim("shop", [large.Id], 1, default)).Value!.Length);
    }

    [Fact]
    public async Task Filters_and_pages_select_what_they_say()
    {
        var giant = new string('ä', 5000);
        await Commit(
            Letter("1", At(5), [1]), Letter("1", At(6), [1], sink: "files"), Letter("2", At(7), [1], error: "other"), Letter(giant, At(8), [1]));
        Assert.Equal(4, (await _stores.Letters.List(All, 0, 1000, default)).Count);
        Assert.Equal(["files"], (await List(new LetterFilter { Sink = "files" })).Select(l => l.Sink));
        Assert.Equal(2, (await List(new LetterFilter { Table = "public.orders", Key = "1" })).Count);
        Assert.Equal(2, (await List(new LetterFilter { Key = "1" })).Count);
        Assert.Equal([giant], (await List(new LetterFilter { Key = giant })).Select(l => l.Entity.Key));
        Assert.Empty(await List(new LetterFilter { Source = "mall" }));
        Assert.Empty(await List(new LetterFilter { Key = "' OR true --" }));
        var other = (await List(All)).Single(l => l.Error == "other");
        Assert.Equal([other.Id], (await List(new LetterFilter { Fingerprint = other.Fingerprint })).Select(l => l.Id));

        var first = await _stores.Letters.List(All, 0, 3, default);
        var second = await _stores.Letters.List(All, first[^1].Id, 3, default);
        Assert.Equal((await List(All)).Select(l => l.Id), first.Concat(second).Select(l => l.Id));
    }

    [Theory]
    [InlineData("record 17 of 4096.5 bytes", "record 9 of 12 bytes", true)]
    [InlineData("value 'Zoë' in \"name\"", "value '' in \"x y\"", true)]
    [InlineData("row 550e8400-e29b-41d4-a716-446655440000", "row 6ba7b810-9dad-11d1-80b4-00c04fd430c8", true)]
    [InlineData("at 16/B374D848 offset 7", "at 0/1 offset 123456789", true)]
    [InlineData("hash 0xdeadbeef and a1b2c3d4e5", "hash 0x1 and 99e8d7c6b5a4", true)]
    [InlineData("number 1234567", "number 12345678", true)]
    [InlineData("the sink can't write this, it doesn't fit", "the sink can't write that, it doesn't fit", false)]
    [InlineData("too large", "too small", false)]
    [InlineData("back\\slash \\x", "back\\slash \\y", false)]
    public async Task Groups_ignore_numbers_and_quoted_text(string one, string two, bool isSame)
    {
        await Commit(Letter("1", At(5), [1], error: one), Letter("2", At(6), [1], error: two), Letter("3", At(7), [1], error: one, sink: "files"));
        var groups = await _stores.Letters.Groups(new LetterFilter { Sink = "events" }, default);
        Assert.Equal(isSame ? [2L] : [1L, 1L], groups.Select(g => g.Count));
        Assert.Equal(two, groups[0].Error);
        Assert.Equal(isSame ? 2 : 3, (await _stores.Letters.Groups(All, default)).Count);
        Assert.Equal(groups[0].Fingerprint, (await List(new LetterFilter { Key = "2" }))[0].Fingerprint);
    }

    [Fact]
    public async Task A_letter_is_claimed_once_until_it_is_released_or_the_partition_has_a_later_generation()
    {
        await Commit(Letter("1", At(5), [1]), Letter("2", At(6), [1]));
        long[] ids = [.. (await List(All)).Select(l => l.Id)];
        var claims = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => _stores.Letters.Claim("shop", ids, 5, default)));
        Assert.Equal(2, claims.Sum(c => c.Count));
        Assert.Empty(await _stores.Letters.Discard("shop", ids, 5, default));
        Assert.Empty(await _stores.Letters.Claim("mall", ids, 6, default));

        await _stores.Letters.Release([ids[0]], 5, default);
        Assert.Equal([ids[0]], (await _stores.Letters.Claim("shop", ids, 5, default)).Select(l => l.Summary.Id));
        Assert.Equal(2, (await _stores.Letters.Claim("shop", ids, 6, default)).Count);
        Assert.Equal(ids, (await _stores.Letters.Discard("shop", ids, 7, default)).Select(l => l.Id).Order());
        Assert.Empty(await List(All));
    }

    [Fact]
    public async Task A_redelivered_letter_stays_until_its_event_is_delivered_and_keeps_the_new_error()
    {
        await Commit(Letter("1", At(5), [1]), Letter("2", At(6), [1]));
        var before = await List(All);
        var (one, two) = (Again(before[0], 1), Again(before[1], 1));
        await Park([one, two], [], 1, 1);
        Assert.All(await List(All), l => Assert.True(l.IsRedelivering));
        Assert.Empty(await _stores.Letters.Claim("shop", [before[0].Id], 99, default));
        Assert.Empty(await _stores.Letters.Discard("shop", [before[0].Id], 99, default));
        await PostgresServer.Execute(_stores.Connection, "UPDATE cdc.dead_letters SET failed_at = now() - interval '1 year'");
        Assert.Equal(0, await _stores.Retention.PurgeDeadLetters(TimeSpan.FromDays(1), 100, default));
        var read = (await _stores.Parked.ReadEvents("shop", "events", [(one.Event.Entity, default)], 10, 1000, default))[0];
        Assert.Equal((one.Position, before[0].Id), (read.Position, read.LetterId));

        await Park([], [new LetterOutcome(before[0].Id, one.Id, 1, null), new LetterOutcome(before[1].Id, two.Id, 3, "refused 17 times")], 0, 0);
        var left = Assert.Single(await List(All));
        Assert.Equal((before[1].Id, false, 4, "refused 17 times"), (left.Id, left.IsRedelivering, left.Attempts, left.Error));
        Assert.NotEqual(before[1].Fingerprint, left.Fingerprint);
        Assert.Equal(before[1].FirstFailedAt, left.FirstFailedAt);
        Assert.Single(await _stores.Letters.Claim("shop", [left.Id], 1, default));
    }

    [Fact]
    public async Task Redelivered_events_follow_those_of_the_log_at_the_same_place_in_their_turn()
    {
        await Commit(Letter("1", At(5), [1]), Letter("1", At(4), [1]));
        var letters = (await List(All)).OrderByDescending(l => l.Version).ToList();
        ParkedEvent[] parked = [Again(letters[0], 1), Again(letters[1], 2)];
        var state = State(parked[0].Event.Entity, 3) with { Newest = parked[1].Position };
        var live = new ParkedEvent("events", At(20), Event(parked[0].Event.Entity, 20), default);
        await Commit(Partition(0, 1, At(7)) with { Parked = [live, .. parked], ParkedEntities = [state] });
        var read = await _stores.Parked.ReadEvents("shop", "events", [(parked[0].Event.Entity, default)], 10, 1_000_000, default);
        Assert.Equal([At(20), At(5), At(4)], read.Select(r => r.Event.Version));
        Assert.Equal(state.Newest, Assert.Single(await _stores.Parked.ReadEntities("shop", 0, default)).Newest);
        var rest = await _stores.Parked.ReadEvents("shop", "events", [(parked[0].Event.Entity, read[1].Position)], 10, 1_000_000, default);
        Assert.Equal([At(4)], rest.Select(r => r.Event.Version));
    }

    [Fact]
    public async Task Parked_entities_and_the_audit_log_are_listed_in_pages()
    {
        EntityKey[] entities = [.. Enumerable.Range(0, 5).Select(i => new EntityKey("public.orders", $"{i}"))];
        await Commit(Partition(0, 1, At(30)) with
        {
            Parked = [.. entities.Select(e => new ParkedEvent("events", At(20), Event(e, 20), default))], ParkedEntities = [.. entities.Select(e => State(e, 1))],
        });
        var first = await _stores.ParkedQueries.List(All, 0, 3, default);
        var second = await _stores.ParkedQueries.List(All, first[^1].Id, 3, default);
        Assert.Equal(entities, first.Concat(second).Select(p => p.Entity).OrderBy(e => e.Key));
        Assert.Equal("3", Assert.Single(await _stores.ParkedQueries.List(new LetterFilter { Sink = "events", Key = "3" }, 0, 10, default)).Entity.Key);

        for (var i = 0; i < 3; i++)
            await _stores.Audit.Add(new AuditEntry(0, default, "127.0.0.1", $"op\0{i}", "{}", "done"), default);
        var newest = await _stores.Audit.List(0, 2, default);
        Assert.Equal(["op\uFFFD2", "op\uFFFD1"], newest.Select(a => a.Operation));
        Assert.Equal(["op\uFFFD0"], (await _stores.Audit.List(newest[^1].Id, 2, default)).Select(a => a.Operation));
    }

    [Fact]
    public async Task Letters_and_parked_events_of_the_release_before_are_kept()
    {
        var name = $"cdc_{Guid.NewGuid():N}";
        await PostgresServer.Execute(control.Server.Connection(), $"CREATE DATABASE {name}");
        var connection = control.Server.Connection(name);
        await PostgresServer.Execute(connection, "CREATE SCHEMA cdc; CREATE TABLE cdc.migrations (schemaversionsid serial PRIMARY KEY, scriptname varchar(255) NOT NULL, applied timestamp NOT NULL)");
        var assembly = typeof(ControlDatabase).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Where(r => r.EndsWith(".sql", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            var file = resource[(resource.LastIndexOf('.', resource.Length - 5) + 1)..];
            if (string.CompareOrdinal(file, "0012") >= 0)
                continue;
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            await PostgresServer.Execute(connection, await reader.ReadToEndAsync());
            await PostgresServer.Execute(connection, $"INSERT INTO cdc.migrations (scriptname, applied) VALUES ('{file}', now())");
        }

        await PostgresServer.Execute(connection, """
            INSERT INTO cdc.dead_letters (source, table_name, entity_key, commit_lsn, ordinal, sink, topic, occurrence, event_key, event_value, error, failed_at)
            VALUES ('shop', 'public.orders', '1', 5, 1, 'events', 't', 0, '\x01', '\x02', 'record 17', '2026-01-01'),
                ('shop', 'public.orders', '1', 5, 1, 'events', 't', 0, '\x01', NULL, 'record 4', '2026-01-01'),
                ('shop', 'public.orders', '2', 6, 1, 'events', 't', 0, NULL, NULL, 'no format', '2026-01-01'),
                ('shop', 'public.orders', '3', 7, 1, 'events', 't', 0, '\x01', NULL, 'Kept without its value of 300000000 bytes, too large to store. no', '2026-01-01')
            """);
        await ControlDatabase.Migrate(connection, NullLogger.Instance, TestContext.Current.CancellationToken);
        await using var stores = new ControlStores(connection);
        var letters = await stores.Letters.List(All, 0, 10, default);
        Assert.Equal([(0, true), (1, true), (0, false), (1, false)], letters.Select(l => (l.Part, l.HasEvent)));
        Assert.Equal(letters[0].Fingerprint, letters[1].Fingerprint);
        Assert.All(letters, l => Assert.Equal(l.LastFailedAt, l.FirstFailedAt));
        Assert.Equal([2], (await stores.Letters.Get(letters[0].Id, default))!.Value);
    }

    private Task<IReadOnlyList<LetterSummary>> List(LetterFilter filter) => _stores.Letters.List(filter, 0, 1000, default);

    private Task<IReadOnlyList<EntityKey>> Commit(params DeadLetter[] letters) => Commit(Partition(0, 1, At(10), letters: letters));

    private Task<IReadOnlyList<EntityKey>> Commit(PartitionCheckpoint partition) => _stores.Checkpoints.Commit(new Checkpoint("shop", 1, [partition]), default);

    private Task<IReadOnlyList<EntityKey>> Park(ParkedEvent[] parked, LetterOutcome[] outcomes, params int[] events) => Commit(Partition(0, 1, At(11)) with
    {
        Parked = parked, Unparked = [.. outcomes.Select(o => o.Event)], Letters = outcomes,
        ParkedEntities = [.. events.Select((e, i) => State(new EntityKey("public.orders", $"{i + 1}"), e) with { IsOver = e == 0 })],
    });

    private static ParkedEvent Again(LetterSummary letter, int turn) =>
        new("events", At(20), Event(letter.Entity, letter.Version.CommitLsn.Value), default) { Turn = turn, LetterId = letter.Id };

    private static SinkEvent Event(EntityKey entity, ulong lsn) => new()
    {
        Topic = "shop.public.orders", Entity = entity, Key = [1, 2], Value = [1], Source = "shop", Version = At(lsn), Origin = EventOrigin.Redelivery, SchemaVersion = 4,
    };

    private static ParkedEntityState State(EntityKey entity, int events) => new()
    {
        Entity = entity, Sink = "events", Events = events, Bytes = 100, Newest = new ParkedPosition(At(20), At(20), 0), Attempts = 1,
        FirstTriedAt = DateTimeOffset.UnixEpoch, DueAt = DateTimeOffset.UnixEpoch.AddSeconds(5),
    };
}
