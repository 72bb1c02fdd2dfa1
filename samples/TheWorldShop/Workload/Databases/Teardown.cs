using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace CdcOrleans.Samples.TheWorldShop.Databases;

/// <summary>Takes away everything that the shop and its capture left on a server; safe to run again.</summary>
internal static class Teardown
{
    public static async Task Run(string admin, ShopNames names, CancellationToken cancellation)
    {
        await using var server = await ShopDatabase.Open(admin, cancellation);
        const string owner = "SELECT database || CASE WHEN active THEN '/active' ELSE '/' END FROM pg_replication_slots WHERE slot_name = @s";
        var slot = await ShopDatabase.Scalar<string>(server, owner, cancellation, ("s", names.Slot));
        if (slot is not null && !slot.StartsWith(names.Database + "/", StringComparison.Ordinal))
            throw new UserException($"Slot '{names.Slot}' belongs to another database ({slot[..slot.LastIndexOf('/')]}); it is left alone, and nothing was removed.");
        if (slot is not null && slot.EndsWith("/active", StringComparison.Ordinal))
            throw new UserException($"Slot '{names.Slot}' is in use: stop the silo first. Nothing was removed.");

        if (slot is not null)
        {
            await using var shop = await ShopDatabase.Open(admin, cancellation, names.Database);
            await ShopDatabase.Execute(shop, "SELECT pg_drop_replication_slot(@s)", cancellation, ("s", names.Slot));
            Console.WriteLine($"Dropped slot '{names.Slot}'.");
        }

        foreach (var database in new[] { names.Database, names.Control })
        {
            if (await ShopDatabase.Scalar<int>(server, "SELECT 1 FROM pg_database WHERE datname = @n", cancellation, ("n", database)) == 0)
                continue;
            await ShopDatabase.Execute(server, $"DROP DATABASE {ShopDatabase.Quote(database)} WITH (FORCE)", cancellation);
            Console.WriteLine(database == names.Database
                ? $"Dropped database '{database}' with its tables and publication."
                : $"Dropped control database '{database}'.");
        }

        if (await ShopDatabase.Scalar<int>(server, "SELECT 1 FROM pg_roles WHERE rolname = @r", cancellation, ("r", names.Role)) != 0)
        {
            await ShopDatabase.Execute(server, $"DROP ROLE {ShopDatabase.Quote(names.Role)}", cancellation);
            Console.WriteLine($"Dropped role '{names.Role}'.");
        }
    }

    /// <summary>Removes the source's files, and the folder if nothing else is in it.</summary>
    public static void RemoveFiles(string directory, string source)
    {
        if (!Directory.Exists(directory))
            return;
        var files = Directory.GetFiles(directory, source + ".*.ndjson");
        foreach (var file in files)
            File.Delete(file);
        if (!Directory.EnumerateFileSystemEntries(directory).Any())
            Directory.Delete(directory);
        Console.WriteLine($"Removed {files.Length} files of '{source}' in {directory}.");
    }

    /// <summary>Deletes the source's topics.</summary>
    public static async Task RemoveTopics(string bootstrap, string source)
    {
        using var kafka = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = bootstrap })
            .SetLogHandler((_, _) => { })
            .Build();
        try
        {
            var topics = kafka.GetMetadata(TimeSpan.FromSeconds(10)).Topics.Select(t => t.Topic)
                .Where(t => t.StartsWith(source + ".", StringComparison.Ordinal)).ToList();
            if (topics.Count > 0)
                await kafka.DeleteTopicsAsync(topics);
            Console.WriteLine($"Deleted {topics.Count} topics of '{source}' at {bootstrap}.");
        }
        catch (Exception error) when (error is KafkaException or DeleteTopicsException)
        {
            throw new UserException($"Kafka at {bootstrap}: {error.Message}");
        }
    }
}
