using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Load;

/// <summary>One transaction to be: its statements, how many rows they change, and what its commit means to the shopper.</summary>
internal sealed class Transaction(string kind)
{
    private readonly List<NpgsqlBatchCommand> _statements = [];

    public string Kind => kind;

    /// <summary>Rows that it changes.</summary>
    public int Changes { get; private set; }

    /// <summary>Whether it is given up at the end instead of committed.</summary>
    public bool GivenUp { get; init; }

    /// <summary>Called after the commit.</summary>
    public Action OnCommit { get; set; } = () => { };

    /// <summary>Adds a statement that changes <paramref name="rows"/> rows; parameters are positional.</summary>
    public Transaction Add(int rows, string sql, params object?[] parameters)
    {
        var statement = new NpgsqlBatchCommand(sql);
        foreach (var value in parameters)
            statement.Parameters.Add(new NpgsqlParameter { Value = value ?? DBNull.Value });
        _statements.Add(statement);
        Changes += rows;
        return this;
    }

    /// <summary>Runs it in one round trip and a commit.</summary>
    public async Task Run(NpgsqlConnection shop)
    {
        await using var transaction = await shop.BeginTransactionAsync();
        await using var batch = new NpgsqlBatch(shop, transaction);
        foreach (var statement in _statements)
            batch.BatchCommands.Add(statement);
        var changed = await batch.ExecuteNonQueryAsync();
        if (changed != Changes)
            throw new UserException($"A transaction '{kind}' changed {changed} rows instead of {Changes}: is the shop seeded with the customers and products it had, and does nobody else write?");
        if (GivenUp)
            await transaction.RollbackAsync();
        else
            await transaction.CommitAsync();
    }
}
