using Npgsql;

namespace CdcOrleans.Integration.Properties;

/// <summary>Changes of rows that have no event.</summary>
internal sealed partial class RandomWork
{
    private const int Attempts = 20;

    /// <summary>Whether the publication's operations were altered, which concerns all tables.</summary>
    public bool HasSilencedAll { get; private set; }

    // Each group of statements is made whole or not at all.
    private async Task Silence(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Dice dice, RandomTable table, HashSet<RandomTable> silenced, CancellationToken cancellation)
    {
        var silent = SilentStatements.Make(dice, table, mayConcernAll: seed % 4 == 0);
        await transaction.SaveAsync("silent", cancellation);
        foreach (var statement in silent.Before)
        {
            if (!await Try(connection, transaction, statement, cancellation))
            {
                await transaction.RollbackAsync("silent", cancellation);
                return;
            }
        }

        for (var i = dice.Between(1, 3); i > 0; i--)
            await Try(connection, transaction, Statement(dice, silent.Under), cancellation);
        foreach (var statement in silent.After)
        {
            if (!await Try(connection, transaction, statement, cancellation))
            {
                await transaction.RollbackAsync("silent", cancellation);
                return;
            }
        }

        table.IsSilent = true;
        HasSilencedAll |= silent.IsOfAll;
        silenced.Add(table);
        _altered.AddRange(silent.Before);
    }

    // Either the next change of the table makes the reader look at it, or nothing of it comes, and the source must notice by itself.
    private static async Task Notice(NpgsqlConnection connection, Dice dice, RandomTable table, CancellationToken cancellation)
    {
        if (dice.Chance(40))
            return;
        var key = table.Column(table.Key[0]);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var sql = attempt % 2 == 0
                ? $"UPDATE {table.Sql} SET {key.Sql} = {key.Sql} WHERE {Somewhere(dice, table, 1)}"
                : $"INSERT INTO {table.Sql} ({Names(table)}) VALUES {Row(dice, table)}";
            try
            {
                await using var command = new NpgsqlCommand(sql, connection);
                if (await command.ExecuteNonQueryAsync(cancellation) > 0)
                    return;
            }
            catch (PostgresException refused) when (refused.SqlState is not ("42601" or "42P01" or "42703" or "XX000"))
            {
                // Another row, then.
            }
        }
    }
}
