using System.Text.Json;
using CdcOrleans.Samples.TheWorldShop.Databases;
using Confluent.Kafka;

namespace CdcOrleans.Samples.TheWorldShop;

/// <summary>Says of each part whether it is ready, a line each, with the remedy where it is not.</summary>
internal sealed class Readiness
{
    private bool _missing;

    public static async Task<bool> Check(string connection, string? kafka, Uri gateway, string source, CancellationToken cancellation)
    {
        var readiness = new Readiness();
        await readiness.CheckDatabase(connection, cancellation);
        if (kafka is not null)
            readiness.CheckKafka(kafka);
        await readiness.CheckGateway(gateway, source, cancellation);
        return !readiness._missing;
    }

    private async Task CheckDatabase(string connection, CancellationToken cancellation)
    {
        try
        {
            await using var shop = await ShopDatabase.Open(connection, cancellation);
            Ok("PostgreSQL", $"{await ShopDatabase.Scalar<string>(shop, "SHOW server_version", cancellation)}, database '{shop.Database}'");
            var level = await ShopDatabase.Scalar<string>(shop, "SHOW wal_level", cancellation);
            if (level == "logical")
                Ok("wal_level", level);
            else
                Missing("wal_level", $"is '{level}': set wal_level = logical in postgresql.conf and restart the server");
            if (await ShopDatabase.Scalar<int>(shop, "SELECT 1 WHERE to_regclass('public.customers') IS NOT NULL", cancellation) == 0)
            {
                Missing("shop", "has no tables: run samples/TheWorldShop/setup.sh");
                return;
            }

            var rows = await ShopDatabase.Scalar<string>(
                shop, "SELECT (SELECT count(*) FROM customers) || ' customers, ' || (SELECT count(*) FROM products) || ' products'", cancellation);
            var seeded = await ShopDatabase.Scalar<bool>(shop, "SELECT EXISTS (SELECT FROM customers) AND EXISTS (SELECT FROM products)", cancellation);
            if (seeded)
                Ok("shop", rows!);
            else
                Missing("shop", "is not seeded: run samples/TheWorldShop/setup.sh");
        }
        catch (UserException error)
        {
            Missing("PostgreSQL", error.Message);
        }
    }

    private void CheckKafka(string bootstrap)
    {
        using var kafka = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = bootstrap }).SetLogHandler((_, _) => { }).Build();
        try
        {
            Ok("Kafka", $"{kafka.GetMetadata(TimeSpan.FromSeconds(5)).Brokers.Count} brokers at {bootstrap}");
        }
        catch (KafkaException error)
        {
            Missing("Kafka", $"does not answer at {bootstrap} ({error.Error.Reason}): start it, or pass the right --kafka");
        }
    }

    private async Task CheckGateway(Uri gateway, string source, CancellationToken cancellation)
    {
        using var http = new HttpClient { BaseAddress = gateway, Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using var ready = await http.GetAsync(new Uri("health/ready", UriKind.Relative), cancellation);
            if (!ready.IsSuccessStatusCode)
            {
                Missing("gateway", $"at {gateway} is up and not ready ({(int)ready.StatusCode}): wait, or look at its log");
                return;
            }

            Ok("gateway", $"ready at {gateway}");
            using var answer = await http.GetAsync(new Uri($"api/v1/sources/{Uri.EscapeDataString(source)}", UriKind.Relative), cancellation);
            if (!answer.IsSuccessStatusCode)
            {
                Missing("silo", $"knows no source '{source}' ({(int)answer.StatusCode}): look at its cdc.yaml");
                return;
            }

            using var status = JsonDocument.Parse(await answer.Content.ReadAsStreamAsync(cancellation));
            var state = status.RootElement.GetProperty("state").ToString();
            var detail = status.RootElement.TryGetProperty("detail", out var words) ? words.ToString() : "";
            if (string.Equals(state, "streaming", StringComparison.OrdinalIgnoreCase))
                Ok("silo", $"source '{source}' is {state}");
            else
                Missing("silo", $"source '{source}' is {state}: {detail}");
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException or JsonException or KeyNotFoundException)
        {
            Missing("gateway", $"does not answer at {gateway}: start the silo with ./run.sh, or pass the right --gateway");
        }
    }

    private static void Ok(string part, string what) => Console.WriteLine($"ok       {part,-11} {what}");

    private void Missing(string part, string remedy)
    {
        _missing = true;
        Console.WriteLine($"missing  {part,-11} {remedy}");
    }
}
