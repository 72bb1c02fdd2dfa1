namespace CdcOrleans.Cluster;

/// <summary>A table of 200 rows with a counter each, and a procedure that makes two changes in every transaction.</summary>
internal static class CountedItems
{
    public const string Schema = """
        CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);
        INSERT INTO items SELECT i, 0 FROM generate_series(1, 200) i;
        CREATE PROCEDURE work(rounds int) LANGUAGE plpgsql AS $$
        BEGIN
          FOR i IN 1..rounds LOOP
            UPDATE items SET n = n + 1 WHERE id = 1 + (i * 7) % 200;
            UPDATE items SET n = n + 1 WHERE id = 1 + (i * 11) % 200;
            COMMIT;
          END LOOP;
        END $$;
        """;
}
