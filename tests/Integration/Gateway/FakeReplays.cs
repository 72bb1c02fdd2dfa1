using System.Collections.Concurrent;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Replays;

namespace CdcOrleans.Integration.Gateway;

/// <summary>Replays 1 to 3, and what a test adds. It remembers what was asked, but not the lists: the gateway asks for them all the time.</summary>
internal sealed class FakeReplays : IReplaysGrain
{
    public List<object> Asked { get; } = [];

    /// <summary>The replays by id.</summary>
    public ConcurrentDictionary<long, ReplayView> Views { get; } = new(Enumerable.Range(1, 3).Select(i => KeyValuePair.Create((long)i, Replay(i))));

    /// <summary>Whether the list is refused, as while the control database does not answer.</summary>
    public bool IsUnreachable { get; set; }

    public static ReplayView Replay(long id) => new()
    {
        Id = id, Source = "shop", Sink = "events", From = "held", State = "running", Rate = 100, Speed = 99.96, Waiting = "gone", Who = "me",
        CreatedAt = DateTimeOffset.UnixEpoch, UpdatedAt = DateTimeOffset.UnixEpoch,
        Tables = [.. new[] { "public.a", "public.b" }.Select(t => new ReplayTableView
        {
            Table = t, RowsTotal = 50, RowsDone = 20, IsDone = false, Sent = 15, Absent = 3, WithoutRow = 2, Parked = 4, Refused = 1,
        })],
    };

    public Task<ReplayStart> Start(ReplayOrder order, string who)
    {
        Asked.Add((order, who));
        return Task.FromResult(order.Patterns[0] switch
        {
            "public.none" => new ReplayStart(null, ReplayRefusal.UnknownTable, "no table 'public.none'"),
            "public.log" => new ReplayStart(null, ReplayRefusal.NotReplayable, "entities: off"),
            "public.twice" => new ReplayStart(null, ReplayRefusal.Conflict, "Replay 2 is running"),
            _ => new ReplayStart(Replay(7)),
        });
    }

    public Task<ReplayView[]> List(long before, int limit) => IsUnreachable
        ? throw new EntityUnavailableException("gone")
        : Task.FromResult(Views.Values.Where(r => before == 0 || r.Id < before).OrderByDescending(r => r.Id).Take(limit).ToArray());

    public Task<ReplayView?> Get(long id) => Task.FromResult(Views.GetValueOrDefault(id));

    public Task<ReplayDecision?> Decide(long id, ReplayVerb verb, string who)
    {
        Asked.Add((id, verb, who));
        return Task.FromResult(id switch { 1 => new ReplayDecision(Replay(1), null), 2 => new ReplayDecision(Replay(2), "Replay 2 is done."), _ => null });
    }
}
