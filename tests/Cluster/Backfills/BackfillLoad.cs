using System.Globalization;
using Npgsql;
using NpgsqlTypes;

namespace CdcOrleans.Cluster.Backfills;

/// <summary>A row with one key after a change: the number of the change, and that of the change that wrote its text.</summary>
/// <param name="Xid">The transaction of the change.</param>
/// <param name="N">The number of the change; <see cref="Gone"/> when there is no such row any more.</param>
/// <param name="TextOf">The change that wrote the text, which the text begins with.</param>
internal readonly record struct Written(uint Xid, int N, int TextOf)
{
    public const int Gone = -1;
}

/// <summary>
/// A table with rows, of which every twentieth has a text that the log leaves out unless it changes; and a writer that changes it at a steady
/// rate, and remembers what it did to each key. A key that changes becomes its negative, which is behind the place of a backfill.
/// </summary>
internal sealed class BackfillLoad
{
    private const int Updates = 22, Texts = 6, Inserts = 4, Deletes = 4, Moves = 4;

    /// <summary>Changes of one transaction.</summary>
    private const int PerTransaction = Updates + Texts + Inserts + Deletes + Moves;

    private const string Text = "':' || repeat('x', CASE WHEN id % 20 = 0 THEN 2100 ELSE 60 END)";

    private readonly int _perSecond;
    private readonly Random _random = new(1);
    private readonly List<int> _live = [];
    private readonly Dictionary<int, int> _place = [];
    private readonly Dictionary<int, int> _textOf = [];
    private readonly Dictionary<int, List<Written>> _histories = [];
    private int _sequence;
    private int _highest;

    public BackfillLoad(int rows, int perSecond)
    {
        _perSecond = perSecond;
        Rows = _highest = rows;
        for (var id = 1; id <= rows; id++)
            Add(id);
    }

    /// <summary>Number of the rows that exist at the beginning; their keys are 1, 2, …</summary>
    public int Rows { get; }

    /// <summary>What was done to each key, in order. Rows of the beginning that nobody changed are missing.</summary>
    public IReadOnlyDictionary<int, List<Written>> Histories => _histories;

    public int Changes { get; private set; }

    public string Schema => string.Create(CultureInfo.InvariantCulture, $"""
        CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, t text NOT NULL);
        ALTER TABLE items ALTER t SET STORAGE EXTERNAL;
        INSERT INTO items SELECT id, 0, '0' || {Text} FROM generate_series(1, {Rows}) id;
        ANALYZE items;
        """);

    /// <summary>Reads the rows: of each key its change and that of its text.</summary>
    public static async Task<Dictionary<int, (int N, int TextOf)>> Table(Pipeline pipeline)
    {
        await using var connection = new NpgsqlConnection(pipeline.Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT id, n, split_part(t, ':', 1)::int FROM items", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new Dictionary<int, (int, int)>();
        while (await reader.ReadAsync())
            rows.Add(reader.GetInt32(0), (reader.GetInt32(1), reader.GetInt32(2)));
        return rows;
    }

    /// <summary>Writes until it is cancelled.</summary>
    public async Task Write(Pipeline pipeline, CancellationToken stop)
    {
        await using var connection = new NpgsqlConnection(pipeline.Database);
        await connection.OpenAsync(CancellationToken.None);
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds((double)PerTransaction / _perSecond));
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
                await Transaction(connection);
        }
        catch (OperationCanceledException)
        {
            // It is enough.
        }
    }

    private async Task Transaction(NpgsqlConnection connection)
    {
        var taken = new HashSet<int>();
        var updates = Take(Updates, taken, _ => true);
        var texts = Take(Texts, taken, _ => true);
        var deletes = Take(Deletes, taken, _ => true);
        var moves = Take(Moves, taken, id => id % 20 == 0 && !_place.ContainsKey(-id) && taken.Add(-id));
        var inserts = Enumerable.Range(0, Inserts).Select(_ => (Id: ++_highest, N: ++_sequence)).ToList();

        // Without BEGIN, a batch is one transaction.
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Command("UPDATE items SET n = u.n FROM unnest($1, $2) AS u (id, n) WHERE items.id = u.id", updates));
        batch.BatchCommands.Add(Command($"UPDATE items SET n = u.n, t = u.n || {Text.Replace("id %", "items.id %", StringComparison.Ordinal)} FROM unnest($1, $2) AS u (id, n) WHERE items.id = u.id", texts));
        batch.BatchCommands.Add(Command("DELETE FROM items USING unnest($1, $2) AS u (id, n) WHERE items.id = u.id", deletes));
        batch.BatchCommands.Add(Command("UPDATE items SET id = -items.id, n = u.n FROM unnest($1, $2) AS u (id, n) WHERE items.id = u.id", moves));
        batch.BatchCommands.Add(Command($"INSERT INTO items SELECT id, n, n || {Text} FROM unnest($1, $2) AS u (id, n)", inserts));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT (pg_current_xact_id()::text::bigint & 4294967295)::bigint"));
        var xid = (uint)(long)(await batch.ExecuteScalarAsync(CancellationToken.None))!;

        foreach (var (id, n) in updates)
            Remember(id, new Written(xid, n, _textOf.GetValueOrDefault(id)));
        foreach (var (id, n) in texts.Concat(inserts))
            Remember(id, new Written(xid, n, n));
        foreach (var (id, _) in deletes)
            Remember(id, new Written(xid, Written.Gone, 0));
        foreach (var (id, n) in moves)
        {
            var text = _textOf.GetValueOrDefault(id);
            Remember(id, new Written(xid, Written.Gone, 0));
            Remember(-id, new Written(xid, n, text));
        }

        Changes += PerTransaction;
    }

    private List<(int Id, int N)> Take(int count, HashSet<int> taken, Predicate<int> isWanted)
    {
        var some = new List<(int, int)>();
        for (var attempt = 0; some.Count < count && attempt < 100 * count; attempt++)
        {
            var id = _live[_random.Next(_live.Count)];
            if (!taken.Contains(id) && isWanted(id))
            {
                taken.Add(id);
                some.Add((id, ++_sequence));
            }
        }

        return some;
    }

    private void Remember(int id, Written written)
    {
        if (!_histories.TryGetValue(id, out var history))
            _histories.Add(id, history = []);
        history.Add(written);
        _textOf[id] = written.TextOf;
        if (written.N == Written.Gone)
            Remove(id);
        else if (!_place.ContainsKey(id))
            Add(id);
    }

    private void Add(int id)
    {
        _place.Add(id, _live.Count);
        _live.Add(id);
    }

    private void Remove(int id)
    {
        _place.Remove(id, out var place);
        var last = _live[^1];
        _live.RemoveAt(_live.Count - 1);
        if (last == id)
            return;
        _live[place] = last;
        _place[last] = place;
    }

    private static NpgsqlBatchCommand Command(string text, List<(int Id, int N)> rows) => new(text)
    {
        Parameters =
        {
            new NpgsqlParameter { Value = rows.Select(r => r.Id).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Integer },
            new NpgsqlParameter { Value = rows.Select(r => r.N).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Integer },
        },
    };
}
