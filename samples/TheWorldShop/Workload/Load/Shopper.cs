namespace CdcOrleans.Samples.TheWorldShop.Load;

/// <summary>
/// Thinks up what happens next in the shop. Orders and outbox rows belong to the shopper who made them; stock, prices and customers
/// are everybody's, and are locked in one order, so that shoppers wait for each other but never in a circle.
/// </summary>
internal sealed class Shopper(Random random, int customers, int products)
{
    private const int OpenOrdersLimit = 200;
    private static readonly string[] Warehouses = ["north", "south"];

    private readonly List<Order> _placed = [];
    private readonly List<Order> _paid = [];
    private readonly Queue<Guid> _outbox = new();

    private sealed class Order
    {
        public required Guid Id { get; init; }
        public required Line[] Lines { get; init; }
        public required string Warehouse { get; init; }
    }

    private sealed class Line
    {
        public required int Number { get; set; }
        public required int Product { get; init; }
        public required int Quantity { get; init; }
    }

    public Transaction Next()
    {
        if (_outbox.Count > 60)
            return CleanOutbox();
        if (_placed.Count > OpenOrdersLimit)
            return Pay();
        if (_paid.Count > OpenOrdersLimit)
            return Ship();
        return random.Next(100) switch
        {
            < 34 => Place(givenUp: false),
            < 38 => Place(givenUp: true),
            < 56 when _placed.Count > 0 => Pay(),
            < 68 when _paid.Count > 0 => Ship(),
            < 75 when _placed.Count > 0 => Cancel(),
            < 79 when _placed.Count > 0 => RenumberLine(),
            < 94 => EditCustomer(),
            < 97 => Restock(),
            _ => Reprice(),
        };
    }

    private Transaction Place(bool givenUp)
    {
        var chosen = DistinctProducts(random.Next(1, 6));
        var order = new Order
        {
            Id = NewId(),
            Warehouse = Warehouses[random.Next(Warehouses.Length)],
            Lines = [.. chosen.Select((product, i) => new Line { Number = i + 1, Product = product, Quantity = random.Next(1, 5) })],
        };
        var prices = order.Lines.Select(_ => Cents(random.Next(100, 10_000))).ToArray();
        var total = order.Lines.Zip(prices, (line, price) => line.Quantity * price).Sum();
        var transaction = new Transaction("place") { GivenUp = givenUp };
        transaction.Add(1,
            "INSERT INTO orders (id, customer_id, status, total, gift, address, note) VALUES ($1, $2, 'placed', $3, $4, $5::jsonb, $6)",
            order.Id, (long)random.Next(1, customers + 1), total, random.Next(10) == 0,
            $$"""{"street": "Main Street {{random.Next(1, 200)}}", "city": "Zürich", "zip": "{{random.Next(1000, 9999)}}", "geo": [47.{{random.Next(100, 999)}}, 8.5]}""",
            random.Next(3) == 0 ? "Please ring \"twice\"\nand wait" : null);
        foreach (var (line, price) in order.Lines.Zip(prices))
        {
            transaction.Add(1,
                "INSERT INTO order_lines (order_id, line, product_id, quantity, unit_price) VALUES ($1, $2, $3, $4, $5)",
                order.Id, line.Number, line.Product, line.Quantity, price);
        }

        foreach (var line in order.Lines)
            ChangeStock(transaction, line.Product, order.Warehouse, -line.Quantity);
        Announce(transaction, order.Id, "OrderPlaced", $$"""{"total": {{total}}, "lines": {{order.Lines.Length}}}""");
        transaction.OnCommit += () => _placed.Add(order);
        return transaction;
    }

    private Transaction Pay()
    {
        var order = Take(_placed);
        var transaction = new Transaction("pay").Add(1, "UPDATE orders SET status = 'paid', paid_at = now() WHERE id = $1", order.Id);
        Announce(transaction, order.Id, "OrderPaid", "{}");
        transaction.OnCommit += () => _paid.Add(order);
        return transaction;
    }

    private Transaction Ship()
    {
        var order = Take(_paid);
        var tracking = new byte[12];
        random.NextBytes(tracking);
        var transaction = new Transaction("ship")
            .Add(1, "UPDATE orders SET status = 'shipped', shipped_at = now(), tracking = $2 WHERE id = $1", order.Id, tracking);
        Announce(transaction, order.Id, "OrderShipped", $$"""{"warehouse": "{{order.Warehouse}}"}""");
        return transaction;
    }

    private Transaction Cancel()
    {
        var order = Take(_placed);
        var transaction = new Transaction("cancel")
            .Add(order.Lines.Length, "DELETE FROM order_lines WHERE order_id = $1", order.Id)
            .Add(1, "DELETE FROM orders WHERE id = $1", order.Id);
        foreach (var line in order.Lines)
            ChangeStock(transaction, line.Product, order.Warehouse, line.Quantity);
        Announce(transaction, order.Id, "OrderCancelled", "{}");
        return transaction;
    }

    /// <summary>Changes a primary key: a delete and a create to whoever follows the table.</summary>
    private Transaction RenumberLine()
    {
        var order = _placed[random.Next(_placed.Count)];
        var line = order.Lines[random.Next(order.Lines.Length)];
        var number = line.Number + 100;
        var transaction = new Transaction("renumber")
            .Add(1, "UPDATE order_lines SET line = $3 WHERE order_id = $1 AND line = $2", order.Id, line.Number, number);
        transaction.OnCommit += () => line.Number = number;
        return transaction;
    }

    private Transaction EditCustomer()
    {
        var id = (long)random.Next(1, customers + 1);
        var transaction = new Transaction("edit");
        switch (random.Next(10))
        {
            case < 4:
                return transaction.Add(1, "UPDATE customers SET credit = credit + $2, updated_at = now() WHERE id = $1", id, Cents(random.Next(-500, 500)));
            case < 7:
                return transaction.Add(1,
                    "UPDATE customers SET preferences = preferences || jsonb_build_object('seen', $2::int), updated_at = now() WHERE id = $1", id, random.Next());
            case < 9:
                var avatar = new byte[random.Next(8, 64)];
                random.NextBytes(avatar);
                return transaction.Add(1, "UPDATE customers SET avatar = $2, active = NOT active, updated_at = now() WHERE id = $1", id, avatar);
            default:
                return transaction.Add(1,
                    "UPDATE customers SET profile = repeat(md5($2::text), 100), updated_at = now() WHERE id = $1", id, random.Next());
        }
    }

    private Transaction Restock()
    {
        var transaction = new Transaction("restock");
        var warehouse = Warehouses[random.Next(Warehouses.Length)];
        foreach (var product in DistinctProducts(random.Next(3, 9)))
            ChangeStock(transaction, product, warehouse, random.Next(10, 100));
        return transaction;
    }

    private Transaction Reprice()
    {
        var transaction = new Transaction("reprice");
        foreach (var product in DistinctProducts(10))
        {
            transaction.Add(1, "UPDATE products SET price = $2, priced_at = now() AT TIME ZONE 'UTC' WHERE id = $1", product,
                Cents(random.Next(100, 10_000)));
        }

        return transaction;
    }

    private Transaction CleanOutbox()
    {
        var ids = Enumerable.Range(0, 30).Select(_ => _outbox.Dequeue()).ToArray();
        return new Transaction("clean").Add(ids.Length, "DELETE FROM outbox WHERE id = ANY($1)", ids);
    }

    /// <summary>An outbox row, which every third time is deleted again before the commit: all that remains of it is in the log.</summary>
    private void Announce(Transaction transaction, Guid order, string type, string payload)
    {
        var id = NewId();
        transaction.Add(1,
            "INSERT INTO outbox (id, aggregate_type, aggregate_id, type, payload) VALUES ($1, 'order', $2, $3, $4::jsonb)",
            id, order.ToString(), type, payload);
        if (random.Next(3) == 0)
            transaction.Add(1, "DELETE FROM outbox WHERE id = $1", id);
        else
            transaction.OnCommit += () => _outbox.Enqueue(id);
    }

    private static void ChangeStock(Transaction transaction, int product, string warehouse, int by) =>
        transaction.Add(1, "UPDATE inventory SET quantity = quantity + $3, counted_at = now() WHERE product_id = $1 AND warehouse = $2",
            product, warehouse, by);

    /// <summary>Ascending: the order in which everybody locks stock.</summary>
    private SortedSet<int> DistinctProducts(int count)
    {
        var chosen = new SortedSet<int>();
        while (chosen.Count < Math.Min(count, products))
            chosen.Add(random.Next(1, products + 1));
        return chosen;
    }

    private Order Take(List<Order> orders)
    {
        var at = random.Next(orders.Count);
        var order = orders[at];
        orders[at] = orders[^1];
        orders.RemoveAt(orders.Count - 1);
        return order;
    }

    /// <summary>Not from the seed: the same seed may run again on the same shop.</summary>
    private static Guid NewId() => Guid.CreateVersion7();

    private static decimal Cents(int cents) => cents / 100m;
}
