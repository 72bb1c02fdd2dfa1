using System.Text;
using Npgsql;

namespace CdcOrleans.Integration.Properties;

/// <summary>
/// Random transactions on one schema. What each does is decided by the seed, the schema's number and its own; a schema's transactions
/// run one after the other, so a seed gives the same history again.
/// </summary>
internal sealed partial class RandomWork(long seed, RandomSchema schema, string database)
{
    private readonly Dictionary<string, int> _refused = [];
    private readonly List<string> _altered = [];

    /// <summary>Changes of schemas, in their order.</summary>
    public IReadOnlyList<string> Altered => _altered;

    /// <summary>Statements that were accepted.</summary>
    public int Accepted { get; private set; }

    /// <summary>Statements that the server refused (a key that exists, a value beyond its column), by the error's code.</summary>
    public IReadOnlyDictionary<string, int> Refused => _refused;

    /// <summary>Runs so many transactions, from a number on.</summary>
    public async Task Run(int from, int transactions, CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(cancellation);
        await using (var settings = new NpgsqlCommand(EventTruth.Settings, connection))
            await settings.ExecuteNonQueryAsync(cancellation);
        for (var number = from; number < from + transactions; number++)
            await Transaction(connection, Dice.Of(seed, schema.Number, 2, number), cancellation);
    }

    private async Task Transaction(NpgsqlConnection connection, Dice dice, CancellationToken cancellation)
    {
        if (dice.Chance(2))
            await AddLabel(connection, dice, cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var changes = new List<Action>();
        var silenced = new HashSet<RandomTable>();
        var statements = dice.Between(1, 8);
        for (var i = 0; i < statements; i++)
        {
            var table = dice.Pick(schema.Tables);
            var group = dice.Chance(10);
            if (group)
                await transaction.SaveAsync("whole", cancellation);
            if (dice.Chance(3) && !group)
                await Alter(connection, transaction, dice, table, changes, cancellation);
            else if (dice.Chance(3))
                await Silence(connection, transaction, dice, table, silenced, cancellation);
            else if (dice.Chance(6))
                await Copy(connection, transaction, dice, table, cancellation);
            else
                await Try(connection, transaction, Statement(dice, table), cancellation);
            if (group)
                await transaction.RollbackAsync("whole", cancellation);
        }

        // The columns of a table here are those that were committed.
        if (dice.Chance(10) && changes.Count == 0)
            await transaction.RollbackAsync(cancellation);
        else
            await transaction.CommitAsync(cancellation);
        foreach (var table in silenced)
            await Notice(connection, dice, table, cancellation);
    }

    private static string Statement(Dice dice, RandomTable table) => dice.Below(20) switch
    {
        < 8 => $"INSERT INTO {table.Sql} ({Names(table)}) VALUES {dice.Join(", ", 1, 4, d => Row(d, table))}",
        < 12 => $"UPDATE {table.Sql} SET {Assignments(dice, table, Others(table))} WHERE {Somewhere(dice, table)}",
        12 => $"UPDATE {table.Sql} SET {Assignments(dice, table, table.Key)} WHERE {Somewhere(dice, table, 1)}",
        13 => $"UPDATE {table.Sql} SET {Same(dice, table)} WHERE {Somewhere(dice, table, 5)}",
        < 16 => $"DELETE FROM {table.Sql} WHERE {Somewhere(dice, table)}",
        16 => Again(dice, table),
        17 => $"INSERT INTO {table.Sql} ({Names(table)}) SELECT {Names(table)} FROM {table.Sql} WHERE {Somewhere(dice, table)} ON CONFLICT ({KeyNames(table)}) DO UPDATE SET {Assignments(dice, table, Others(table))}",
        18 => Merge(dice, table),
        _ => dice.Chance(15) ? $"TRUNCATE {table.Sql}" : $"DELETE FROM {table.Sql} WHERE {Somewhere(dice, table, 3)}",
    };

    // Deleted and put back under its key, in one statement after the other.
    private static string Again(Dice dice, RandomTable table) =>
        $"DO $do$ DECLARE old {table.Sql}%ROWTYPE; BEGIN DELETE FROM {table.Sql} WHERE {Somewhere(dice, table, 1)} RETURNING * INTO old; "
        + $"IF FOUND THEN INSERT INTO {table.Sql} SELECT old.*; END IF; END $do$";

    private static string Merge(Dice dice, RandomTable table)
    {
        var values = Row(dice, table);
        return $"MERGE INTO {table.Sql} AS t USING (VALUES {values}) AS s ({Names(table)}) ON {string.Join(" AND ", table.Key.Select(k => $"t.{SqlText.Name(k)} = s.{SqlText.Name(k)}"))} "
            + $"WHEN MATCHED THEN {(dice.Chance(30) ? "DELETE" : $"UPDATE SET {Copied(dice, table)}")} "
            + $"WHEN NOT MATCHED THEN INSERT ({Names(table)}) VALUES ({string.Join(", ", table.Columns.Select(c => $"s.{c.Sql}"))})";
    }

    private static string Copied(Dice dice, RandomTable table)
    {
        var column = dice.Pick(table.Columns);
        return $"{column.Sql} = s.{column.Sql}";
    }

    private static List<string> Others(RandomTable table)
    {
        var others = table.Columns.Select(c => c.Name).Except(table.Key).ToList();
        return others.Count == 0 ? table.Key : others;
    }

    private static string Assignments(Dice dice, RandomTable table, IReadOnlyList<string> columns) =>
        string.Join(", ", dice.Some(columns, dice.Between(1, 3)).Select(c => $"{SqlText.Name(c)} = {table.Literal(dice, table.Column(c))}"));

    private static string Same(Dice dice, RandomTable table)
    {
        var column = dice.Pick(table.Columns);
        return $"{column.Sql} = {column.Sql}";
    }

    // Rows are chosen by their place in the order of keys, which is the same for the same seed, and then addressed by ctid.
    private static string Somewhere(Dice dice, RandomTable table, int most = 4) =>
        $"(tableoid, ctid) IN (SELECT tableoid, ctid FROM {table.Sql} ORDER BY {string.Join(", ", table.Key.Select(k => $"{SqlText.Name(k)}::text COLLATE \"C\""))} OFFSET {NumberValues.Text(dice.Below(12))} LIMIT {NumberValues.Text(dice.Between(1, most))})";

    private static string Names(RandomTable table) => string.Join(", ", table.Columns.Select(c => c.Sql));

    private static string KeyNames(RandomTable table) => string.Join(", ", table.Key.Select(SqlText.Name));

    private static string Row(Dice dice, RandomTable table) => $"({string.Join(", ", table.Columns.Select(c => table.Literal(dice, c)))})";

    private async Task<bool> Try(NpgsqlConnection connection, NpgsqlTransaction transaction, string sql, CancellationToken cancellation)
    {
        await transaction.SaveAsync("one", cancellation);
        try
        {
            await using var command = new NpgsqlCommand(sql, connection, transaction);
            await command.ExecuteNonQueryAsync(cancellation);
            await transaction.ReleaseAsync("one", cancellation);
            Accepted++;
            return true;
        }
        catch (PostgresException refused) when (refused.SqlState is not ("42601" or "42P01" or "42703" or "XX000"))
        {
            await transaction.RollbackAsync("one", cancellation);
            _refused[refused.SqlState] = _refused.GetValueOrDefault(refused.SqlState) + 1;
            return false;
        }
        catch (PostgresException refused)
        {
            throw new InvalidOperationException($"Schema {schema.Number}: {refused.MessageText}: {sql}", refused);
        }
    }

    private async Task Copy(NpgsqlConnection connection, NpgsqlTransaction transaction, Dice dice, RandomTable table, CancellationToken cancellation)
    {
        var rows = new StringBuilder();
        for (var i = dice.Between(1, 5); i > 0; i--)
        {
            rows.AppendJoin('\t', table.Columns.Select(c => SqlText.CopyField(
                table.Key.Contains(c.Name) ? c.Type.Key!(dice) : c.Type.ValueOrNull(dice, c.NotNull ? 0 : 15)))).Append('\n');
        }

        await transaction.SaveAsync("one", cancellation);
        try
        {
            await using (var import = await connection.BeginTextImportAsync($"COPY {table.Sql} ({Names(table)}) FROM STDIN", cancellation))
                await import.WriteAsync(rows, cancellation);
            await transaction.ReleaseAsync("one", cancellation);
            Accepted++;
        }
        catch (PostgresException refused)
        {
            await transaction.RollbackAsync("one", cancellation);
            _refused[refused.SqlState] = _refused.GetValueOrDefault(refused.SqlState) + 1;
        }
    }

    /// <summary>
    /// Alters the table and then updates every row. A default for existing rows, or another type, makes no events by itself, so their
    /// stored rows would stay as they are.
    /// </summary>
    private async Task Alter(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Dice dice, RandomTable table, List<Action> changes, CancellationToken cancellation)
    {
        var others = table.Columns.Where(c => !table.Key.Contains(c.Name)).ToList();
        string sql;
        Action change;
        switch (dice.Below(others.Count == 0 ? 1 : 4))
        {
            case 0:
                var type = dice.Pick(schema.Types);
                var added = new RandomColumn(table.FreeName(dice), type, false);
                sql = $"ADD {added.Sql} {type.Name}{(dice.Chance(50) ? $" DEFAULT {type.Literal(type.Value(dice))}" : "")}";
                change = () =>
                {
                    table.Columns.Add(added);
                    table.Added.Add(added.Name);
                };
                break;
            case 1:
                var dropped = dice.Pick(others);
                sql = $"DROP {dropped.Sql}";
                change = () => table.Columns.Remove(dropped);
                break;
            case 2:
                var renamed = dice.Pick(table.Columns);
                var name = table.FreeName(dice);
                sql = $"RENAME {renamed.Sql} TO {SqlText.Name(name)}";
                change = () => Rename(table, renamed, name);
                break;
            default:
                var retyped = dice.Pick(others);
                var text = schema.Types.First(t => t.Name == "text");
                sql = $"ALTER {retyped.Sql} TYPE text USING {retyped.Sql}::text";
                change = () =>
                {
                    table.Columns[table.Columns.IndexOf(retyped)] = retyped with { Type = text };
                    table.Retyped.Add(retyped.Name);
                };
                break;
        }

        if (!await Try(connection, transaction, $"ALTER TABLE {table.Sql} {sql}", cancellation))
            return;
        change();
        _altered.Add($"ALTER TABLE {table.Sql} {sql}");
        changes.Add(change);
        var key = table.Column(table.Key[0]);
        await Try(connection, transaction, $"UPDATE {table.Sql} SET {key.Sql} = {key.Sql}", cancellation);
    }

    private static void Rename(RandomTable table, RandomColumn column, string name)
    {
        table.Columns[table.Columns.IndexOf(column)] = column with { Name = name };
        var place = table.Key.IndexOf(column.Name);
        if (place >= 0)
            table.Key[place] = name;
        table.Renamed.Add(name);
        if (table.Retyped.Contains(column.Name))
            table.Retyped.Add(name);
    }

    // A value of an enum cannot be used in the transaction that adds it.
    private async Task AddLabel(NpgsqlConnection connection, Dice dice, CancellationToken cancellation)
    {
        var label = $"later {NumberValues.Text(dice.Below(1_000_000))}";
        await using var command = new NpgsqlCommand($"ALTER TYPE {schema.Enum} ADD VALUE IF NOT EXISTS {SqlText.Literal(label)} BEFORE 'low'", connection);
        await command.ExecuteNonQueryAsync(cancellation);
        schema.Labels[dice.Below(schema.Labels.Count)] = label;
    }
}
