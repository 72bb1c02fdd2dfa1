using Npgsql;

namespace CdcOrleans.Samples.TheWorldShop.Databases;

/// <summary>Fills an empty shop; what is there already stays as it is.</summary>
internal static class Seed
{
    private const int RowsPerTransaction = 500;

    private const string Customers = """
        INSERT INTO customers (id, email, name, active, credit, preferences, avatar, profile, born)
        SELECT i, 'customer' || i || '@shop.example', 'Customer ' || i, i % 17 <> 0, (i % 1000) + 0.50,
               jsonb_build_object('language', (ARRAY['en','de','fr','ja'])[1 + i % 4], 'newsletter', i % 3 = 0, 'discount', (i % 20) / 100.0),
               CASE WHEN i % 4 = 0 THEN NULL ELSE decode(md5('avatar' || i), 'hex') END,
               'Żółć, 東京, "quotes" and \backslashes; ' || repeat(md5('profile' || i), 100),
               CASE WHEN i % 5 = 0 THEN NULL ELSE date '1950-01-01' + (i % 18000)::int END
        FROM generate_series(@from::bigint, @to::bigint) AS i
        ON CONFLICT DO NOTHING
        """;

    private const string Products = """
        INSERT INTO products (id, sku, name, price, weight, discontinued, description)
        SELECT i, md5('sku' || i)::uuid, 'Product ' || i, 1 + (i * 37 % 9900) / 100.0, CASE WHEN i % 9 = 0 THEN NULL ELSE i / 7.0 END,
               i % 50 = 0, repeat(md5('description' || i), 120)
        FROM generate_series(@from::int, @to::int) AS i
        ON CONFLICT DO NOTHING
        """;

    private const string Inventory = """
        INSERT INTO inventory (product_id, warehouse, quantity)
        SELECT i, w, 1000000 FROM generate_series(@from::int, @to::int) AS i, unnest(ARRAY['north','south']) AS w
        ON CONFLICT DO NOTHING
        """;

    public static async Task Run(string connection, int customers, int products, CancellationToken cancellation)
    {
        await using var shop = await ShopDatabase.Open(connection, cancellation);
        var added = await Fill(shop, Customers, customers, cancellation);
        added += await Fill(shop, Products, products, cancellation);
        added += await Fill(shop, Inventory, products, cancellation);
        await ShopDatabase.Execute(
            shop, "SELECT setval(pg_get_serial_sequence('customers', 'id'), greatest((SELECT max(id) FROM customers), 1))", cancellation);
        // A backfill estimates by these statistics how many rows there are.
        await ShopDatabase.Execute(shop, "ANALYZE customers, products, inventory, orders, order_lines, outbox", cancellation);
        Console.WriteLine($"Seeded: {added} rows added ({customers} customers and {products} products wanted).");
    }

    private static async Task<int> Fill(NpgsqlConnection shop, string sql, int rows, CancellationToken cancellation)
    {
        var added = 0;
        for (var from = 1; from <= rows; from += RowsPerTransaction)
        {
            added += await ShopDatabase.Execute(
                shop, sql, cancellation, ("from", from), ("to", Math.Min(from + RowsPerTransaction - 1, rows)));
        }

        return added;
    }
}
