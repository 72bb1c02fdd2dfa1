using System.Text;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Unit.Capture;

/// <summary>A decoder with one announced table, and what it handed out.</summary>
internal sealed class DecoderUnderTest : ICaptureObserver
{
    public const uint Orders = 16384;
    public const uint NotSelected = 16385;

    private readonly PgOutputDecoder _decoder;
    private readonly CapturedRelation _orders;

    public DecoderUnderTest(params int[] key)
        : this(new SourceConfiguration { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [] }, key.Length == 0 ? [0] : key)
    {
    }

    public DecoderUnderTest(SourceConfiguration source, int[] key)
    {
        _decoder = new PgOutputDecoder(source, Acknowledgement, this);
        Table = new TableSchema
        {
            TableId = 1, Version = 1, Schema = "public", Name = "orders",
            Columns = [.. new[] { "a", "b", "c", "d" }.Select(n => new ColumnSchema { Name = n, TypeOid = 25, TypeModifier = -1, TypeName = "text" })],
            Key = key,
        };
        _orders = new CapturedRelation(Announcement, Table, source.Events);
        _decoder.Announce(Orders, _orders);
        _decoder.Announce(NotSelected, new CapturedRelation([], "public.other"));
    }

    public const string LeftOut = "(left out)";

    /// <summary>Whether values were left out of the messages.</summary>
    public bool HasOmitted
    {
        init => _decoder.HasOmitted = value;
    }

    /// <summary>Whether only the keys of old rows are used.</summary>
    public bool OldRowsAreKeyOnly
    {
        init => _decoder.Announce(Orders, new CapturedRelation(Announcement, Table, EventOptions.Default) { OldRowsAreKeyOnly = value });
    }

    /// <summary>Whether two rows can have the same key for a while.</summary>
    public bool KeysMayRepeat
    {
        init => _decoder.Announce(Orders, new CapturedRelation(Announcement, Table, EventOptions.Default) { KeysMayRepeat = value });
    }

    /// <summary>The server's time with every message.</summary>
    public static readonly DateTime Clock = new(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc);

    public static byte[] Announcement { get; } = LogWriter.Relation(Orders, "public", "orders", 'd', (true, "a", 25, -1), (false, "b", 25, -1));

    public Acknowledgement Acknowledgement { get; } = new();

    public TableSchema Table { get; }

    public List<WalItem> Items { get; } = [];

    public List<RowChange> Changes => [.. Items.Where(i => i.Kind == WalItemKind.Change).Select(i => i.Change!)];

    public int MessagesIgnored { get; private set; }

    public int ChangesNotSelected { get; private set; }

    /// <summary>The tables of the last message that recorded added tables.</summary>
    public IReadOnlyList<string> Joined => _decoder.Joined;

    /// <summary>Announces the table again.</summary>
    public void Announce(Func<CapturedRelation, CapturedRelation> made) => _decoder.Announce(Orders, made(_orders));

    public Decoded Take(byte[] message, ulong position = 0)
    {
        var decoded = _decoder.Decode(message, new Lsn(position), Clock, out var item);
        // The buffer is the next message's: what was handed out must not depend on it.
        Array.Fill(message, (byte)0xFF);
        if (decoded == Decoded.Item)
            Items.Add(item);
        while (_decoder.TryTakeQueued(out var queued))
            Items.Add(queued);
        return decoded;
    }

    /// <summary>A whole transaction of the given messages.</summary>
    public void Transaction(ulong commit, params byte[][] messages)
    {
        Take(LogWriter.Begin(commit, 1_700_000_000_000_000, 7), commit - 20);
        foreach (var message in messages)
            Take(message, commit - 10);
        Take(LogWriter.Commit(commit, commit + 5));
    }

    public static string?[] Values(RowImage image)
    {
        var values = new List<string?>();
        foreach (var column in image)
        {
            values.Add(column.Kind switch
            {
                ColumnKind.Null => null,
                ColumnKind.Unchanged => LogWriter.Unchanged,
                ColumnKind.Omitted => LeftOut,
                _ => Encoding.UTF8.GetString(column.Text),
            });
        }

        return [.. values];
    }

    void ICaptureObserver.MessageIgnored() => MessagesIgnored++;

    void ICaptureObserver.ChangeNotSelected() => ChangesNotSelected++;
}
