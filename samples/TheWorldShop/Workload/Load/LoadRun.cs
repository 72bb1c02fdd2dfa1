using CdcOrleans.Samples.TheWorldShop.Databases;
using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Load;

/// <summary>Writes to the shop at a given rate until the duration is over or it is told to stop.</summary>
internal sealed record LoadRun
{
    public required string Connection { get; init; }

    /// <summary>Row changes per second over all shoppers; 0 for as fast as it goes.</summary>
    public required double Rate { get; init; }

    /// <summary>Null for no end.</summary>
    public required TimeSpan? Duration { get; init; }

    public required int Seed { get; init; }

    public required int Concurrency { get; init; }

    public async Task Run(CancellationToken cancellation)
    {
        var (customers, products) = await Size(cancellation);
        var count = new LoadCount();
        var pacer = new Pacer(Rate, Duration, TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var printing = count.PrintEverySecond(stop.Token);
        try
        {
            // When one shopper fails the others stop too.
            await Task.WhenAll(Enumerable.Range(0, Concurrency).Select(async i =>
            {
                try
                {
                    await Shop(new Shopper(new Random(Seed + i), customers, products), pacer, count, stop.Token);
                }
                catch
                {
                    await stop.CancelAsync();
                    throw;
                }
            }));
        }
        finally
        {
            await stop.CancelAsync();
            await printing;
            count.PrintTotal();
        }
    }

    private async Task Shop(Shopper shopper, Pacer pacer, LoadCount count, CancellationToken cancellation)
    {
        await using var shop = await ShopDatabase.Open(Connection, CancellationToken.None);
        try
        {
            while (true)
            {
                var transaction = shopper.Next();
                if (!await pacer.Next(transaction.GivenUp ? 0 : transaction.Changes, cancellation))
                    return;
                await Commit(transaction, shop, count);
            }
        }
        catch (OperationCanceledException)
        {
            // Told to stop; the transaction at hand was finished.
        }
        catch (NpgsqlException error)
        {
            throw new UserException($"The shop's database refused a transaction: {error.Message}");
        }
    }

    private static async Task Commit(Transaction transaction, NpgsqlConnection shop, LoadCount count)
    {
        while (true)
        {
            try
            {
                await transaction.Run(shop);
                break;
            }
            catch (PostgresException error) when (error.IsTransient)
            {
                count.Retried();
            }
        }

        if (transaction.GivenUp)
        {
            count.RolledBack();
            return;
        }

        transaction.OnCommit();
        count.Committed(transaction.Kind, transaction.Changes);
    }

    private async Task<(int Customers, int Products)> Size(CancellationToken cancellation)
    {
        await using var shop = await ShopDatabase.Open(Connection, cancellation);
        try
        {
            var customers = await ShopDatabase.Scalar<int>(shop, "SELECT count(*)::int FROM customers", cancellation);
            var products = await ShopDatabase.Scalar<int>(shop, "SELECT count(*)::int FROM products", cancellation);
            return customers > 0 && products > 0
                ? (customers, products)
                : throw new UserException("The shop is empty: run 'seed' first.");
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            throw new UserException("The database has no shop in it: run samples/TheWorldShop/setup.sh first.");
        }
    }
}
