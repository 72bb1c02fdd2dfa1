using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Databases;

/// <summary>What the shop and its capture need on a PostgreSQL server: one role, the shop's database, the control database.</summary>
internal sealed record ShopNames(string Role, string Database, string Control, string Slot, string Publication);

/// <summary>Creates that; safe to run again.</summary>
internal static class Setup
{
    public static async Task Run(string admin, ShopNames names, string? password, CancellationToken cancellation)
    {
        await using (var server = await ShopDatabase.Open(admin, cancellation))
        {
            var level = await ShopDatabase.Scalar<string>(server, "SHOW wal_level", cancellation);
            if (level != "logical")
                throw new UserException($"wal_level of this server is '{level}'. Set wal_level = logical in postgresql.conf and restart the server.");

            await CreateRole(server, names.Role, password, cancellation);
            foreach (var database in new[] { names.Database, names.Control })
            {
                if (await ShopDatabase.Scalar<int>(server, "SELECT 1 FROM pg_database WHERE datname = @n", cancellation, ("n", database)) == 0)
                    await ShopDatabase.Execute(server, $"CREATE DATABASE {ShopDatabase.Quote(database)} OWNER {ShopDatabase.Quote(names.Role)}", cancellation);
            }
        }

        await using var shop = await ShopDatabase.Open(admin, cancellation, names.Database);
        // The tables belong to the role, so that it may publish them.
        await ShopDatabase.Execute(shop, $"SET ROLE {ShopDatabase.Quote(names.Role)}", cancellation);
        await ShopDatabase.Execute(shop, await Schema(cancellation), cancellation);
        Console.WriteLine($"Role '{names.Role}', databases '{names.Database}' (with the shop's tables) and '{names.Control}' are ready.");
    }

    private static async Task CreateRole(NpgsqlConnection server, string role, string? password, CancellationToken cancellation)
    {
        var exists = await ShopDatabase.Scalar<int>(server, "SELECT 1 FROM pg_roles WHERE rolname = @r", cancellation, ("r", role)) != 0;
        if (!exists)
            await ShopDatabase.Execute(server, $"CREATE ROLE {ShopDatabase.Quote(role)} LOGIN REPLICATION", cancellation);
        if (password is { Length: > 0 })
        {
            // DDL takes no parameters: the server quotes the literal for us.
            var statement = await ShopDatabase.Scalar<string>(
                server, "SELECT format('ALTER ROLE %I PASSWORD %L', @r, @p)", cancellation, ("r", role), ("p", password));
            await ShopDatabase.Execute(server, statement!, cancellation);
        }
    }

    private static async Task<string> Schema(CancellationToken cancellation)
    {
        await using var stream = typeof(Setup).Assembly.GetManifestResourceStream("schema.sql")!;
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(cancellation);
    }
}
