namespace CdcOrleans.Bench.EndToEnd.Workloads;

/// <summary>SQL that writes changes, and how many.</summary>
internal sealed record Step(string Sql, long Changes, long Deletes, long Transactions);

/// <summary>How many changes and keys a run has.</summary>
internal sealed record Size(long Changes, long Keys);

/// <summary>One kind of change traffic on a table of its own.</summary>
internal sealed record Workload(string Name, string Description, Table Table)
{
    /// <summary>Changes of a round, unless the person says otherwise.</summary>
    public required long DefaultChanges { get; init; }

    /// <summary>Rows that exist, and have been drained, before the first round.</summary>
    public Func<Size, long> Rows { get; init; } = _ => 0;

    /// <summary>One round's writes. Rounds count from 0.</summary>
    public required Func<Size, int, Step> Write { get; init; }

    /// <summary>Whether consumers are to hold no rows in memory when a round begins.</summary>
    public bool Asleep { get; init; }

    public static readonly Workload Warm = new("warm", "inserts in transactions of 1000, then single-row updates", Table.Warm)
    {
        DefaultChanges = 200_000,
        Write = (size, round) =>
        {
            long inserts = size.Changes / 2, updates = size.Changes - inserts;
            var insert = Insert(Table.Warm, 1 + (round * inserts), inserts, 1000);
            return new Step($"{insert.Sql}; CALL workload.update_skewed_warm({updates}, {inserts}, 0.5)",
                size.Changes, 0, insert.Transactions + updates);
        },
    };

    public static readonly Workload[] All =
    [
        new("inserts", "new rows in transactions of 1000", Table.Inserts)
        {
            DefaultChanges = 500_000,
            Write = (size, round) => Insert(Table.Inserts, 1 + (round * size.Changes), size.Changes, 1000),
        },
        new("inserts-off", "the same with `entities: off`", Table.InsertsOff)
        {
            DefaultChanges = 500_000,
            Write = (size, round) => Insert(Table.InsertsOff, 1 + (round * size.Changes), size.Changes, 1000),
        },
        new("updates-active", "single-row update transactions, skewed keys, entities in memory", Table.Active)
        {
            DefaultChanges = 400_000,
            Rows = size => size.Keys,
            Write = (size, round) =>
                new Step($"CALL workload.update_skewed_active({size.Changes}, {size.Keys}, {Seed(round)})", size.Changes, 0, size.Changes),
        },
        new("updates-waking", "single-row update transactions, each on another row that is not in memory", Table.Waking)
        {
            DefaultChanges = 400_000,
            Rows = size => size.Changes,
            Asleep = true,
            Write = (size, _) => new Step(
                $"CALL workload.update_each_waking({size.Changes}, {(size.Changes % 7919 == 0 ? 7907 : 7919)})", size.Changes, 0, size.Changes),
        },
        new("mix", "transactions of 1 to 20 inserts, updates and deletes, skewed keys", Table.Mix)
        {
            DefaultChanges = 400_000,
            Rows = size => size.Keys,
            Write = (size, round) =>
            {
                var blocks = Math.Max(1, size.Changes / Table.MixChanges);
                return new Step($"CALL workload.mix_mix({size.Keys + 1 + (round * blocks * 20)}, {blocks}, {size.Keys}, {Seed(round)})",
                    blocks * Table.MixChanges, blocks * Table.MixDeletes, blocks * Table.MixTransactions);
            },
        },
    ];

    public static Step Insert(Table table, long first, long count, int perTransaction) =>
        new($"CALL workload.insert_{table.Name}({first}, {count}, {perTransaction})", count, 0, (count + perTransaction - 1) / perTransaction);

    private static string Seed(int round) => FormattableString.Invariant($"{0.1 + (0.01 * round):0.00}");
}
