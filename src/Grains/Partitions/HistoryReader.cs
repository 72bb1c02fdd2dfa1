using CdcOrleans.Grains.Deliveries;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Partitions;

/// <summary>A page of the history of an entity, as events for one sink.</summary>
/// <param name="Next">The place of the next page; null when this is the last one.</param>
/// <param name="Events">The events, in order.</param>
/// <param name="Letters">Dead letters of changes that have no event: no format could write them, or a value is too long.</param>
internal sealed record HistoryEvents(HistoryPlace? Next, IReadOnlyList<SinkEvent> Events, IReadOnlyList<DeadLetter> Letters)
{
    /// <summary>Changes that are done, by what became of them.</summary>
    public required int[] Finished { get; init; }
}

/// <summary>Reads histories of entities from the journal of their table, and makes events of them. Any thread.</summary>
internal static class HistoryReader
{
    /// <summary>Most changes of a page.</summary>
    public const int MostChanges = 500;

    /// <summary>Bytes of rows after which no further change is read.</summary>
    public const long MostBytes = 4 << 20;

    /// <summary>Reads a page of each of some entities.</summary>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    public static async Task<IReadOnlyList<HistoryEvents>> Read(SourceRuntime source, ReplayWork work, IReadOnlyList<HistoryPlace> places)
    {
        var pages = await source.Histories.Histories(
            source.Name, work.Table.FullName, places, work.Journal!, MostChanges, MostBytes, CancellationToken.None).ConfigureAwait(false);
        return [.. pages.Select(p => Format(source, work, p))];
    }

    private static HistoryEvents Format(SourceRuntime source, ReplayWork work, JournalHistory page)
    {
        var batch = new FormattedChanges();
        var finished = new int[3];
        foreach (var row in page.Closing is { } closing ? page.Changes.Append(closing) : page.Changes)
        {
            var hasRow = !row.IsTooLarge && (row.Change.Operation == ChangeOperation.Delete || row.After.IsPresent);
            finished[(int)(hasRow ? batch.Take(Completed(source, work, row), work.Plan) : ReplayedAs.WithoutRow)]++;
        }

        return new HistoryEvents(page.Next, batch.Events, batch.TakeUnformatted() ?? []) { Finished = finished };
    }

    private static CompletedChange Completed(SourceRuntime source, ReplayWork work, JournalRow row) => new()
    {
        Change = row.Change,
        Source = source.Name,
        Database = source.Database,
        Topic = work.Plan.Topic,
        Values = work.Plan.Values,
        Tombstones = work.Plan.Events.Tombstones,
        Origin = EventOrigin.Replay,
        Before = row.Before,
        BeforeTable = row.BeforeTable,
        After = row.After,
    };

    /// <summary>Changes that are formatted like those from the log. They are not sent as a batch.</summary>
    private sealed class FormattedChanges : EventBatch
    {
        /// <summary>The events, in order.</summary>
        public IReadOnlyList<SinkEvent> Events => [.. Shares.SelectMany(s => s.Open)];

        /// <summary>Takes a change. Returns what became of it.</summary>
        public ReplayedAs Take(in CompletedChange change, TablePlan plan)
        {
            var skipped = Skipped;
            Add(in change, plan);
            return Skipped > skipped ? ReplayedAs.Absent : ReplayedAs.Sent;
        }

        protected override void Finished() => throw new InvalidOperationException("These events are not sent as a batch.");

        protected override void OnUnformatted(IReadOnlyList<DeadLetter> letters) => Finished();
    }
}
