using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Integration.Gateway;

/// <summary>Dead letters 1 to 3 of a plain object; it remembers what was asked.</summary>
internal sealed class FakeOperations : IOperationsGrain
{
    public List<object> Asked { get; } = [];

    public static LetterSummary Letter(long id) => new()
    {
        Id = id, Source = "shop", Sink = "events", Entity = new EntityKey("public.orders", $"{id}"), Version = new ChangeVersion(Lsn.Parse("0/16B3648"), id), Part = 0,
        Topic = "shop.public.orders", HasEvent = true, SchemaVersion = 3, Origin = EventOrigin.Stream, Attempts = 2, FirstFailedAt = DateTimeOffset.UnixEpoch,
        LastFailedAt = DateTimeOffset.UnixEpoch.AddSeconds(1), Error = "too large", Fingerprint = "f00d", Bytes = 9, IsRedelivering = false,
    };

    public Task<LetterSummary[]> ListLetters(LetterFilter filter, long after, int limit)
    {
        Asked.Add((filter, after, limit));
        return Task.FromResult(Enumerable.Range(1, 3).Where(i => i > after).Take(limit).Select(i => Letter(i)).ToArray());
    }

    public Task<StoredLetter?> GetLetter(long id) => Task.FromResult(
        id is >= 1 and <= 3 ? new StoredLetter(Letter(id), "{\"id\":1}"u8.ToArray(), [0xff, 0x00], [new("h", "Zoë"u8.ToArray())]) : null);

    public Task<LetterGroup[]> GroupLetters(LetterFilter filter) => Task.FromResult<LetterGroup[]>(
    [
        new()
        {
            Fingerprint = "f00d", Source = "shop", Sink = "events", Table = "public.orders", Error = "too large", Count = 3, FirstFailedAt = DateTimeOffset.UnixEpoch,
            LastFailedAt = DateTimeOffset.UnixEpoch,
        },
    ]);

    public Task<Decision> Redeliver(LetterSelection selection, RedeliverAs what, string who) => Decide((selection, what, who), selection);

    public Task<Decision> Discard(LetterSelection selection, string who) => Decide((selection, who), selection);

    public Task<ParkedSummary[]> ListParked(LetterFilter filter, long after, int limit)
    {
        Asked.Add((filter, after, limit));
        return Task.FromResult<ParkedSummary[]>(
        [
            new()
            {
                Id = 5, Source = "shop", Sink = "events", Entity = new EntityKey("public.orders", "1"), Events = 2, Bytes = 300, Attempts = 1, IsBlocked = false,
                FirstTriedAt = DateTimeOffset.UnixEpoch, DueAt = DateTimeOffset.UnixEpoch,
            },
        ]);
    }

    public Task<int> RetryParked(LetterFilter filter, string who)
    {
        Asked.Add((filter, who));
        return Task.FromResult(7);
    }

    /// <summary>Whether the control database answers.</summary>
    public bool HasStored { get; set; } = true;

    public Task<SinkView[]> GetSinks(TimeSpan age) => Task.FromResult<SinkView[]>(
    [
        new()
        {
            Name = "events", Type = "kafka", PausedBy = HasStored ? "10.0.0.7" : null, PausedSince = DateTimeOffset.UnixEpoch,
            Stored = HasStored ? [new("shop", "public.orders", 4, 2, 600, DateTimeOffset.UnixEpoch), new("shop", "public.lines", 2, 1, 300, DateTimeOffset.UnixEpoch)] : null,
            Routes =
            [
                new()
                {
                    From = "shop.public.*", Format = "debezium", Inline = TimeSpan.FromSeconds(2), BackoffFirst = TimeSpan.FromSeconds(1), BackoffMost = TimeSpan.FromMinutes(10),
                    GiveUpAttempts = 50, Blocks = true, Holds = false, SpillBytes = 1000,
                },
            ],
        },
        new() { Name = "gone", Type = "removed", Routes = [], Stored = HasStored ? [new("shop", "public.orders", 1, 0, 0, null)] : null },
    ]);

    /// <summary>What the test of a sink finds.</summary>
    public string? TestFinds { get; set; }

    public Task<SinkTesting> TestSink(string sink) => Task.FromResult(
        sink == "events" ? new SinkTesting(true, TestFinds, "S127.0.0.1:11111:1", TimeSpan.FromMilliseconds(12.34)) : new SinkTesting(false));

    public Task<SinkPausing> PauseSink(string sink, string who)
    {
        Asked.Add(("pause", sink, who));
        return Task.FromResult(sink == "events" ? new SinkPausing(true, true, who, DateTimeOffset.UnixEpoch) : new SinkPausing(false));
    }

    public Task<SinkPausing> ResumeSink(string sink, string who)
    {
        Asked.Add(("resume", sink, who));
        return Task.FromResult(sink == "events" ? new SinkPausing(true, true) : new SinkPausing(false));
    }

    public Task<AuditEntry[]> ListAudit(long before, int limit)
    {
        Asked.Add((before, limit));
        return Task.FromResult<AuditEntry[]>([new(9, DateTimeOffset.UnixEpoch, "127.0.0.1", "discard", "{}", "1 accepted, 0 refused")]);
    }

    private Task<Decision> Decide(object asked, LetterSelection selection)
    {
        Asked.Add(asked);
        long[] ids = selection.Ids ?? (selection.Fingerprint == "f00d" ? [1, 2, 3] : []);
        long[] known = [.. ids.Where(i => i is >= 1 and <= 3)];
        LetterRefusal[] refused = [.. known.Where(i => i == 3).Select(i => new LetterRefusal(i, "busy"))];
        return Task.FromResult(new Decision(known.Length - refused.Length, refused, [.. ids.Except(known)], known.Length > 0 ? known[^1] : 0, false));
    }
}
