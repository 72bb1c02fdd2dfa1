using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Integration.Gateway;

/// <summary>The history of every entity: two changes, and more before them. It remembers what was asked.</summary>
internal sealed class FakeJournals : IJournalGrain
{
    public List<HistoryQuestion> Asked { get; } = [];

    public Task<HistoryPage> GetHistory(HistoryQuestion question)
    {
        Asked.Add(question);
        return Task.FromResult(new HistoryPage(
        [
            Entry(2, ChangeOperation.Update) with { Row = """{"id":1,"n":2}""", Differences = [new ColumnDifference("n", "1", "2"), new ColumnDifference("note", null, "\"x\"")] },
            Entry(1, ChangeOperation.Create) with { Row = """{"id":1,"n":1}""", Differences = [], OtherKey = "7" },
        ],
        HasMore: true));
    }

    public Task<JournalFigures[]> ListJournals() =>
        Task.FromResult<JournalFigures[]>([new JournalFigures("shop", "public.orders", 3, 4096, DateTimeOffset.UnixEpoch), new JournalFigures("shop", "public.empty", 0, 0, null)]);

    private static HistoryEntry Entry(long ordinal, ChangeOperation operation) => new()
    {
        Position = $"3:0/16B3648/{ordinal}", Version = new ChangeVersion(Lsn.Parse("0/16B3648"), ordinal), CommittedAt = DateTimeOffset.UnixEpoch.AddSeconds(ordinal), Xid = 9,
        Operation = operation, SchemaVersion = 4,
    };
}
