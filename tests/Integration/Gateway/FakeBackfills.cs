using System.Collections.Concurrent;
using CdcOrleans.Grains.Interfaces.Backfills;

namespace CdcOrleans.Integration.Gateway;

/// <summary>Backfills 1 to 3, and what a test adds. It remembers what was asked.</summary>
internal sealed class FakeBackfills : IBackfillsGrain
{
    public List<object> Asked { get; } = [];

    /// <summary>The backfills by id.</summary>
    public ConcurrentDictionary<long, BackfillView> Views { get; } = new(Enumerable.Range(1, 3).Select(i => KeyValuePair.Create((long)i, Backfill(i))));

    /// <summary>How the backfill that was started goes on with each look; null when it stays as it is.</summary>
    public Func<BackfillView, BackfillView>? Next { get; set; }

    public static BackfillView Backfill(long id) => new()
    {
        Id = id, Source = "shop", Kind = "rows", State = "running", Rate = 100, Speed = 99.96, Waiting = "gone", Who = "me",
        CreatedAt = DateTimeOffset.UnixEpoch, UpdatedAt = DateTimeOffset.UnixEpoch,
        Tables = [.. new[] { "public.a", "public.b" }.Select(t => new BackfillTableView
        {
            Table = t, RowsTotal = 500, RowsDone = 200, IsDone = false, Sent = 150, Unchanged = 30, Created = 1, Updated = 2, Deleted = 3, Parked = 4, Refused = 5,
        })],
    };

    public Task<BackfillStart> Start(BackfillOrder order, string who)
    {
        Asked.Add((order, who));
        if (order.Patterns[0] is "public.none" or "public.bad" or "public.twice" or "public.down")
        {
            return Task.FromResult(order.Patterns[0] switch
            {
                "public.none" => new BackfillStart(null, BackfillRefusal.UnknownTable, "no table 'public.none'"),
                "public.bad" => new BackfillStart(null, BackfillRefusal.NotPossible, "no condition"),
                "public.twice" => new BackfillStart(null, BackfillRefusal.Conflict, "Backfill 2 is running"),
                _ => new BackfillStart(null, BackfillRefusal.SourceUnavailable, "no server answers"),
            });
        }

        var view = Backfill(7) with
        {
            Kind = order.Kind.ToString().ToLowerInvariant(), Rate = order.Rate, Waiting = null,
            Tables = [.. order.Patterns.Select(p => new BackfillTableView
            {
                Table = p, Where = order.Where, Keys = order.Keys?.Length, RowsTotal = order.Keys?.Length ?? 300, RowsDone = 0, IsDone = false, Sent = 0, Unchanged = 0, Created = 0,
                Updated = 0, Deleted = 0, Parked = 0, Refused = 0,
            })],
        };
        return Task.FromResult(new BackfillStart(Views[7] = view));
    }

    public Task StartInitial(string source, string[] tables) => throw new NotSupportedException();

    public Task<BackfillView[]> List(long before, int limit) =>
        Task.FromResult(Views.Values.Where(b => before == 0 || b.Id < before).OrderByDescending(b => b.Id).Take(limit).ToArray());

    public Task<BackfillView?> Get(long id)
    {
        if (id == 7 && Next is { } next)
            Views[7] = next(Views[7]);
        return Task.FromResult(Views.GetValueOrDefault(id));
    }

    public Task<BackfillDecision?> Decide(long id, BackfillVerb verb, string who)
    {
        Asked.Add((id, verb, who));
        return Task.FromResult(id switch { 1 => new BackfillDecision(Backfill(1), null), 2 => new BackfillDecision(Backfill(2), "Backfill 2 is done."), _ => null });
    }
}
