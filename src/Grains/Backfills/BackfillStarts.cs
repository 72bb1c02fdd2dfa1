using System.Collections.Concurrent;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Runtime;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Grains.Backfills;

/// <summary>
/// Starts backfills: those that people ask for, and the first one of each table that the configuration wants. The source is asked about
/// every table before anything is stored. One per silo; safe for concurrent use.
/// </summary>
internal sealed partial class BackfillStarts(
    PipelineConfiguration configuration, IBackfillStore store, IChunkReaderFactory readers, ICapturedTables captured, ILogger<BackfillStarts> logger)
{
    /// <summary>Who starts what the configuration wants.</summary>
    public const string Configuration = "configuration";

    /// <summary>Most tables that the source is asked about at the same time.</summary>
    private const int AtOnce = 4;

    // Why tables are left out, as it was logged last.
    private readonly ConcurrentDictionary<(string Source, string Table), string> _leftOut = new();

    /// <summary>Starts a backfill that somebody asks for.</summary>
    /// <returns>The backfill; or null, why it is refused, and a text with value and remedy.</returns>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    public async Task<(StoredBackfill? Backfill, BackfillRefusal Refusal, string? Detail)> Start(BackfillOrder order, string who, CancellationToken cancellation)
    {
        if (!configuration.Sources.TryGetValue(order.Source, out var source))
            return (null, BackfillRefusal.UnknownTable, $"Source '{order.Source}' is not configured in this silo. Give every silo the same configuration.");
        var (asked, problem) = await Ask(() => captured.List(source, cancellation));
        if (problem is not null)
            return (null, BackfillRefusal.SourceUnavailable, problem.Message);
        var (tables, refusal, detail) = BackfillOrders.Find(order, asked!, source);
        if (detail is not null)
            return (null, refusal, detail);
        var isCaptured = tables.ToDictionary(t => t.Table, t => t.IsCaptured);
        List<TableScope> scopes = [.. tables.Select(t => new TableScope(t.Table, order.Where, null, order.Keys?.Distinct().ToArray(), 0))];
        var planned = await Plan(source, order.Kind, scopes, cancellation);

        // What cannot be merged is left out where it was only matched by a pattern. Everything else concerns whoever asked.
        if (planned.FirstOrDefault(p => p.Problem is not null && (tables.First(t => t.Table == p.Scope.Table).IsNamed || p.IsOfSource)) is { } wrong)
            return (null, wrong.IsTransient ? BackfillRefusal.SourceUnavailable : isCaptured[wrong.Scope.Table] ? BackfillRefusal.NotPossible : BackfillRefusal.UnknownTable, wrong.Problem);
        List<PlannedTable> possible = [.. planned.Where(p => p.Problem is null)];
        if (possible.Count == 0)
            return (null, BackfillRefusal.NotPossible, planned[0].Problem);

        var (backfill, isNew) = await store.Add(New(source, order.Kind, order.Patterns, order.Rate, who, possible), cancellation);
        if (isNew)
            return (backfill, default, null);
        var both = backfill.Tables.Select(t => t.Table).Intersect(possible.Select(p => p.Scope.Table)).First();
        return (
            null, BackfillRefusal.Conflict,
            $"Backfill {backfill.Id} of {order.Source}.{both} is {GrainAnswers.NameOf(backfill.State)}. Wait until it is done, or cancel it (POST /api/v1/backfills/{backfill.Id}/cancel).");
    }

    /// <summary>Starts the first backfill of those tables of a source that the configuration wants and that had none.</summary>
    /// <returns>What was started, and why the source could not answer for some tables now; then it should be called again.</returns>
    /// <exception cref="StateUnavailableException">The control database does not answer.</exception>
    public async Task<(IReadOnlyList<StoredBackfill> Started, CaptureException? Trouble)> StartInitial(string source, IReadOnlyList<string> tables, CancellationToken cancellation)
    {
        if (!configuration.Sources.TryGetValue(source, out var known))
            return ([], null);
        List<string> wanted = [.. tables.Distinct().Where(t => OptionsOf(known, t).Mode != BackfillMode.Never).Order(StringComparer.Ordinal)];
        if (wanted.Count == 0)
            return ([], null);
        List<TableScope> open =
        [
            .. (await store.WithoutInitial(source, wanted, cancellation)).Order(StringComparer.Ordinal)
                .Select(t => (Table: t, Options: OptionsOf(known, t))).Select(t => new TableScope(t.Table, t.Options.Where, t.Options.Columns, null, t.Options.Rate)),
        ];
        var (repair, trouble) = await StartRepair(known, wanted, cancellation);
        IReadOnlyList<StoredBackfill> repairs = repair is null ? [] : [repair];
        if (open.Count == 0)
            return (repairs, trouble);
        var planned = await Plan(known, BackfillKind.Initial, open, cancellation);
        foreach (var left in planned.Where(p => p.Problem is not null))
        {
            if (IsNews(source, left))
                LogLeftOut(logger, source, left.Scope.Table, left.Problem!);
        }

        // A backfill has one rate.
        var started = new List<StoredBackfill>(repairs);
        foreach (var group in planned.Where(p => p.Problem is null).GroupBy(p => p.Scope.Rate))
        {
            if (await AddInitial(known, group.Key, [.. group], cancellation) is { } backfill)
                started.Add(backfill);
        }

        return (started, planned.FirstOrDefault(p => p.IsTransient) is { } late ? new CaptureException(late.Problem!, transient: true) : trouble);
    }

    // After a gap was accepted, what differs from the stored rows is told.
    private async Task<(StoredBackfill? Repair, CaptureException? Trouble)> StartRepair(SourceConfiguration source, IReadOnlyList<string> wanted, CancellationToken cancellation)
    {
        List<string> tables = [.. wanted.Where(t => OptionsOf(source, t).Mode == BackfillMode.WhenNeeded)];
        if (tables.Count == 0 || (await store.AfterGap(source.Name, tables, cancellation)) is not { Count: > 0 } missed)
            return (null, null);
        var planned = await Plan(source, BackfillKind.Repair, [.. missed.Select(t => new TableScope(t, null, null, null, OptionsOf(source, t).Rate))], cancellation);
        foreach (var left in planned.Where(p => p.Problem is not null && IsNews(source.Name, p)))
            LogLeftOut(logger, source.Name, left.Scope.Table, left.Problem!);
        List<PlannedTable> possible = [.. planned.Where(p => p.Problem is null)];
        var trouble = planned.FirstOrDefault(p => p.IsTransient) is { } late ? new CaptureException(late.Problem!, transient: true) : null;
        if (possible.Count == 0)
            return (null, trouble);
        var (backfill, isNew) = await store.Add(
            New(source, BackfillKind.Repair, [.. possible.Select(t => t.Scope.Table)], possible.Max(t => t.Scope.Rate), Configuration, possible), cancellation);
        if (!isNew)
            return (null, new CaptureException($"Backfill {backfill.Id} must end before a repair of the same tables can start, because changes of them are missing.", transient: true));
        LogRepair(logger, source.Name, backfill.Id, possible.Count);
        return (backfill, trouble);
    }

    private async Task<StoredBackfill?> AddInitial(SourceConfiguration source, int rate, List<PlannedTable> tables, CancellationToken cancellation)
    {
        while (tables.Count > 0)
        {
            var (backfill, isNew) = await store.Add(New(source, BackfillKind.Initial, [.. tables.Select(t => t.Scope.Table)], rate, Configuration, tables), cancellation);
            if (isNew)
            {
                LogStarted(logger, source.Name, backfill.Id, tables.Count);
                return backfill;
            }

            // Another backfill reads some of them now. They get theirs when this is called again.
            var others = backfill.Tables.Select(t => t.Table).ToHashSet();
            if (tables.RemoveAll(t => others.Contains(t.Scope.Table)) == 0)
                return null;
        }

        return null;
    }

    private async Task<IReadOnlyList<PlannedTable>> Plan(SourceConfiguration source, BackfillKind kind, IReadOnlyList<TableScope> scopes, CancellationToken cancellation)
    {
        await using var reader = readers.Create(source);
        var planned = new List<PlannedTable>();
        foreach (var some in scopes.Chunk(AtOnce))
            planned.AddRange(await Task.WhenAll(some.Select(s => Plan(source, reader, kind, s, cancellation))));
        return planned;
    }

    private static async Task<PlannedTable> Plan(SourceConfiguration source, IChunkReader reader, BackfillKind kind, TableScope scope, CancellationToken cancellation)
    {
        if (BackfillOrders.Problem(kind, source, scope.Table) is { } byOptions)
            return new PlannedTable(scope, null, byOptions);
        var dot = scope.Table.IndexOf('.', StringComparison.Ordinal);
        var (plan, refused) = await Ask(() => reader.Plan(
            new BackfillScope(scope.Table[..dot], scope.Table[(dot + 1)..]) { Where = scope.Where, Columns = scope.Columns }, cancellation));
        return refused is not null
            ? new PlannedTable(scope, null, refused.Message) { IsOfSource = true, IsTransient = refused.Transient }
            : new PlannedTable(scope, plan, BackfillOrders.Problem(source.Name, plan!, scope.Keys));
    }

    private static async Task<(T? Answer, CaptureException? Refused)> Ask<T>(Func<Task<T>> question)
        where T : class
    {
        try
        {
            return (await question(), null);
        }
        catch (CaptureException refused)
        {
            return (null, refused);
        }
    }

    private static StoredBackfill New(
        SourceConfiguration source, BackfillKind kind, IReadOnlyList<string> patterns, int rate, string who, IReadOnlyList<PlannedTable> tables) => new()
        {
            Source = source.Name, Kind = kind, Patterns = patterns, Rate = rate, Who = who,
            Tables =
            [
                .. tables.Select((t, place) => new BackfillTable
                {
                    Place = place, Table = t.Scope.Table, Relation = t.Plan!.Table.RelationOid, Where = t.Scope.Where, Columns = t.Scope.Columns, Keys = t.Scope.Keys,
                    RowsTotal = t.Scope.Keys?.Count ?? t.Plan.EstimatedRows,
                }),
            ],
        };

    private static BackfillOptions OptionsOf(SourceConfiguration source, string table) => source.Select(table) is { } selection ? selection.Backfill ?? source.Backfill : BackfillOptions.Never;

    private bool IsNews(string source, PlannedTable left)
    {
        var isNews = !_leftOut.TryGetValue((source, left.Scope.Table), out var logged) || logged != left.Problem;
        _leftOut[(source, left.Scope.Table)] = left.Problem!;
        return isNews;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: backfill {Backfill} reads the existing rows of {Tables} table(s), because of their option 'backfill'")]
    private static partial void LogStarted(ILogger logger, string source, long backfill, int tables);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: backfill {Backfill} repairs {Tables} table(s), because changes of them are missing")]
    private static partial void LogRepair(ILogger logger, string source, long backfill, int tables);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Source}: existing rows of table {Table} are not read, although its option 'backfill' wants it: {Problem}")]
    private static partial void LogLeftOut(ILogger logger, string source, string table, string problem);

    /// <summary>Which rows of a table are asked for.</summary>
    private sealed record TableScope(string Table, string? Where, IReadOnlyList<string>? Columns, IReadOnlyList<string>? Keys, int Rate);

    /// <summary>What the source says of a table. It has a plan, or a problem.</summary>
    private sealed record PlannedTable(TableScope Scope, BackfillPlan? Plan, string? Problem)
    {
        /// <summary>Whether the problem is what the source said, and not that rows cannot be merged.</summary>
        public bool IsOfSource { get; init; }

        /// <summary>Whether it may be possible later although nobody does anything.</summary>
        public bool IsTransient { get; init; }
    }
}
