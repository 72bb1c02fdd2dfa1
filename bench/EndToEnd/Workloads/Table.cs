namespace CdcOrleans.Bench.EndToEnd.Workloads;

/// <summary>A table of eight columns, and the procedures that write to it: they commit inside, so that no round trip lies between transactions.</summary>
internal sealed record Table(string Name, bool Entities = true)
{
    public static readonly Table Warm = new("warm");
    public static readonly Table Inserts = new("inserts");
    public static readonly Table InsertsOff = new("inserts_off", Entities: false);
    public static readonly Table Active = new("active");
    public static readonly Table Waking = new("waking");
    public static readonly Table Mix = new("mix");
    public static readonly Table Latency = new("latency");

    public static readonly Table Endurance = new("endurance");

    /// <summary>Its rows are read and not streamed, so other consumers do not select it.</summary>
    public static readonly Table Backfill = new("backfill");

    public static readonly Table[] All = [Warm, Inserts, InsertsOff, Active, Waking, Mix, Latency, Endurance];

    /// <summary>A mix is made of blocks of ten transactions: see <c>mix_…</c> below.</summary>
    public const int MixChanges = 56, MixDeletes = 10, MixTransactions = 10;

    /// <summary>The same of a block of <c>endure_…</c>.</summary>
    public const int EndureChanges = 2500, EndureDeletes = 500, EndureTransactions = 3;

    public string Definition =>
        $$"""
        CREATE SCHEMA IF NOT EXISTS workload;

        CREATE TABLE public.{{Name}} (
          id bigint PRIMARY KEY, quantity integer NOT NULL, sku text NOT NULL, title text NOT NULL, price numeric(12,2) NOT NULL,
          active boolean NOT NULL, changed_at timestamptz NOT NULL, attributes jsonb NOT NULL);

        -- Rows with ids first, first + 1, … in transactions of so many.
        CREATE PROCEDURE workload.insert_{{Name}}(first bigint, total bigint, per_transaction integer) LANGUAGE plpgsql AS $$
        DECLARE
          next bigint := first;
        BEGIN
          WHILE next < first + total LOOP
            INSERT INTO public.{{Name}}
            SELECT id, (id % 1000)::integer, 'SKU-' || lpad(id::text, 16, '0'), 'An item of the shop, number ' || lpad(id::text, 12, '0'),
                   (id % 1000000) / 100.0, id % 3 = 0, clock_timestamp(),
                   jsonb_build_object('colour', (ARRAY['red', 'green', 'blue'])[1 + id % 3], 'weight', id % 500)
            FROM generate_series(next, least(next + per_transaction, first + total) - 1) AS id;
            COMMIT;
            next := next + per_transaction;
          END LOOP;
        END $$;

        -- Zipf-like with exponent 0.99 (inverse of the continuous distribution), hot keys scattered over the table by a prime.
        CREATE FUNCTION workload.skewed_{{Name}}(keys bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
          SELECT 1 + (least(keys, floor(power((power(keys + 1, 0.01::float8) - 1) * random() + 1, 100::float8))::bigint) * 7919) % keys
        $$;

        -- Single-row transactions on skewed keys of 1 … keys.
        CREATE PROCEDURE workload.update_skewed_{{Name}}(total bigint, keys bigint, seed float8) LANGUAGE plpgsql AS $$
        DECLARE
          key bigint;
        BEGIN
          PERFORM setseed(seed);
          FOR i IN 1 .. total LOOP
            key := workload.skewed_{{Name}}(keys);
            UPDATE public.{{Name}} SET quantity = quantity + 1, price = (i % 1000000) / 100.0, changed_at = clock_timestamp() WHERE id = key;
            COMMIT;
          END LOOP;
        END $$;

        -- Single-row transactions on each of the keys 1 … total once, in an order scattered by a stride that shares no factor with the total.
        CREATE PROCEDURE workload.update_each_{{Name}}(total bigint, stride bigint) LANGUAGE plpgsql AS $$
        BEGIN
          FOR i IN 1 .. total LOOP
            UPDATE public.{{Name}} SET quantity = quantity + 1, price = (i % 1000000) / 100.0, changed_at = clock_timestamp()
            WHERE id = 1 + (i * stride) % total;
            COMMIT;
          END LOOP;
        END $$;

        -- Blocks of ten transactions: one inserts 20 rows, six update one row each, two update 10 rows each, one deletes 10 of the inserted rows.
        CREATE PROCEDURE workload.mix_{{Name}}(first bigint, blocks bigint, keys bigint, seed float8) LANGUAGE plpgsql AS $$
        DECLARE
          next bigint := first;
          key bigint;
        BEGIN
          PERFORM setseed(seed);
          FOR block IN 1 .. blocks LOOP
            CALL workload.insert_{{Name}}(next, 20, 20);
            CALL workload.update_skewed_{{Name}}(6, keys, random() * 2 - 1);
            FOR part IN 1 .. 2 LOOP
              key := 1 + floor(random() * (keys - 10))::bigint;
              UPDATE public.{{Name}} SET quantity = quantity + 1, changed_at = clock_timestamp() WHERE id BETWEEN key AND key + 9;
              COMMIT;
            END LOOP;
            DELETE FROM public.{{Name}} WHERE id BETWEEN next AND next + 9;
            COMMIT;
            next := next + 20;
          END LOOP;
        END $$;

        -- Blocks that cost the server little to write: 1000 rows inserted, 1000 others updated, 500 of the inserted deleted.
        CREATE PROCEDURE workload.endure_{{Name}}(first bigint, blocks bigint, keys bigint, seed float8) LANGUAGE plpgsql AS $$
        DECLARE
          next bigint := first;
          key bigint;
        BEGIN
          PERFORM setseed(seed);
          FOR block IN 1 .. blocks LOOP
            CALL workload.insert_{{Name}}(next, 1000, 1000);
            key := 1 + floor(random() * (keys - 1000))::bigint;
            UPDATE public.{{Name}} SET quantity = quantity + 1, changed_at = clock_timestamp() WHERE id BETWEEN key AND key + 999;
            COMMIT;
            DELETE FROM public.{{Name}} WHERE id BETWEEN next AND next + 499;
            COMMIT;
            next := next + 1000;
          END LOOP;
        END $$;
        """;
}
