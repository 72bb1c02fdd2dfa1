using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Model.Storage;
using Orleans.Concurrency;
using static CdcOrleans.Grains.Runtime.GrainAnswers;

namespace CdcOrleans.Grains.Operations;

/// <summary>Answers people's questions from the journals.</summary>
[StatelessWorker(4)]
[Reentrant]
internal sealed class JournalGrain(PipelineConfiguration configuration, IJournalReader journals, IRowFormatter rows) : Grain, IJournalGrain
{
    /// <summary>Bytes of images after which a page ends.</summary>
    private const long MostBytes = 4 << 20;

    public Task<HistoryPage> GetHistory(HistoryQuestion question) => Ask(async () =>
    {
        var (source, entity) = question.Entity;
        var window = new JournalWindow
        {
            SinceTime = question.SinceTime, UntilTime = question.UntilTime, SinceLsn = question.SinceLsn, UntilLsn = question.UntilLsn,
        };
        var after = question.After is { } position ? JournalPosition.Parse(position) : JournalPosition.End;
        var page = await journals.History(source, entity, after, window, question.Limit, MostBytes, CancellationToken.None);
        var history = new HistoryView(rows, ValuesOf(source, entity.Table));
        return new HistoryPage([.. page.Entries.Select(history.Show)], page.HasMore);
    });

    public Task<JournalFigures[]> ListJournals() => Ask(async () =>
        (await journals.List(CancellationToken.None)).Select(j => new JournalFigures(j.Source, j.Table, j.Segments, j.Bytes, j.Oldest)).ToArray());

    private ValueOptions ValuesOf(string source, string table)
    {
        if (!configuration.Sources.TryGetValue(source, out var known))
            return ValueOptions.Default;
        return known.Select(table)?.Values ?? known.Values;
    }
}
