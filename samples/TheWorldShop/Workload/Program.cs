using System.CommandLine;
using CdcOrleans.Samples.TheWorldShop;
using CdcOrleans.Samples.TheWorldShop.Databases;
using CdcOrleans.Samples.TheWorldShop.Load;
using CdcOrleans.Samples.TheWorldShop.Verification;
using CdcOrleans.Samples.TheWorldShop.Watching;

var connection = new Option<string>("--connection") { Description = "Npgsql connection string of the shop's database.", Required = true };
var admin = new Option<string>("--admin") { Description = "Npgsql connection string of a role that may create roles and databases.", Required = true };
var role = new Option<string>("--role") { Description = "Role of the pipeline; it owns the shop's tables.", DefaultValueFactory = _ => "cdc" };
var database = new Option<string>("--database") { Description = "The shop's database.", DefaultValueFactory = _ => "theworldshop" };
var control = new Option<string>("--control") { Description = "The control database.", DefaultValueFactory = _ => "cdc" };
var source = new Option<string>("--source") { Description = "Name of the source in cdc.yaml.", DefaultValueFactory = _ => "theworldshop" };
var slot = new Option<string?>("--slot") { Description = "Replication slot. Default: cdc_<source>." };
var publication = new Option<string?>("--publication") { Description = "Publication. Default: cdc_<source>." };
var gateway = new Option<Uri>("--gateway")
{
    Description = "Address of the gateway.",
    HelpName = "http://host:port",
    DefaultValueFactory = _ => new Uri("http://127.0.0.1:8080"),
    CustomParser = result =>
    {
        if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
            return address;
        result.AddError($"'{result.Tokens[0].Value}' is not an address for --gateway; write e.g. http://127.0.0.1:8080.");
        return null;
    },
};
var kafka = new Option<string?>("--kafka") { Description = "Kafka bootstrap servers, host:port.", HelpName = "host:port" };
var files = new Option<string?>("--files") { Description = "Folder of the file sink.", HelpName = "folder" };

var root = new RootCommand("The World Shop: a database to capture, somebody who writes to it, and the proof that what was delivered is right.");
root.Add(SetupCommand());
root.Add(SeedCommand());
root.Add(RunCommand());
root.Add(WatchCommand());
root.Add(BackfillCommand());
root.Add(VerifyCommand());
root.Add(ReadyCommand());
root.Add(TeardownCommand());
var parsed = root.Parse(args);
try
{
    // A shopper ends the transaction at hand before the program ends.
    return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(10) });
}
catch (UserException error)
{
    await Console.Error.WriteLineAsync(error.Message);
    return 1;
}
catch (OperationCanceledException)
{
    return 1;
}

Command SetupCommand()
{
    var command = new Command("setup", "Creates role, databases and tables on a PostgreSQL server. The role's password is taken from CDC_SHOP_PASSWORD.")
    {
        admin, role, database, control,
    };
    command.SetAction((p, stop) => Setup.Run(p.GetValue(admin)!, Names(p), Environment.GetEnvironmentVariable("CDC_SHOP_PASSWORD"), stop));
    return command;
}

Command SeedCommand()
{
    var customers = new Option<int>("--customers") { Description = "Customers there shall be.", DefaultValueFactory = _ => 1000 };
    var products = new Option<int>("--products") { Description = "Products there shall be.", DefaultValueFactory = _ => 500 };
    var command = new Command("seed", "Fills the shop; safe to run again.") { connection, customers, products };
    command.SetAction((p, stop) => Seed.Run(p.GetValue(connection)!, p.GetValue(customers), p.GetValue(products), stop));
    return command;
}

Command RunCommand()
{
    var rate = new Option<double>("--rate") { Description = "Row changes per second; 0 for as many as it can.", DefaultValueFactory = _ => 200 };
    var duration = Durations.Option("--duration", "How long. Default: until stopped.");
    var seed = new Option<int?>("--seed") { Description = "Seed of the random choices." };
    var concurrency = new Option<int>("--concurrency") { Description = "Shoppers at once.", DefaultValueFactory = _ => 4 };
    var command = new Command("run", "Writes to the shop: orders, payments, shipments, cancellations, edits, some of them rolled back.")
    {
        connection, rate, duration, seed, concurrency,
    };
    command.SetAction((p, stop) => new LoadRun
    {
        Connection = p.GetValue(connection)!,
        Rate = p.GetValue(rate),
        Duration = p.GetValue(duration),
        Seed = p.GetValue(seed) ?? Random.Shared.Next(),
        Concurrency = Math.Max(p.GetValue(concurrency), 1),
    }.Run(stop));
    return command;
}

Command WatchCommand()
{
    var duration = Durations.Option("--duration", "How long. Default: until stopped.");
    var command = new Command("watch", "Shows once a second how the source is doing.") { gateway, source, duration };
    command.SetAction((p, stop) => new Watch(p.GetValue(gateway)!, p.GetValue(source)!).Run(p.GetValue(duration), stop));
    return command;
}

Command BackfillCommand()
{
    var wait = Durations.Option("--wait", "How long a backfill may take to begin. Default: 30s.");
    var command = new Command("backfill", "Shows how far the source's backfills are, until they have ended.") { gateway, source, wait };
    command.SetAction(async (p, stop) =>
        await new BackfillWatch(p.GetValue(gateway)!, p.GetValue(source)!).Run(p.GetValue(wait) ?? TimeSpan.FromSeconds(30), stop) ? 0 : 1);
    return command;
}

Command VerifyCommand()
{
    var wait = Durations.Option("--wait", "How long events may take to arrive. Default: 60s.");
    var since = new Option<DateTimeOffset?>("--since") { Description = "Read Kafka from this moment on (ISO 8601) instead of from the beginning." };
    var changesOnly = new Option<bool>("--changes-only") { Description = "Rows may have no event: for a pipeline without a backfill." };
    var command = new Command("verify", "Proves that delivered events match the database. Nobody may be writing meanwhile.")
    {
        connection, source, slot, publication, files, kafka, since, wait, changesOnly,
    };
    command.Validators.Add(result =>
    {
        if (result.GetResult(files) is null == result.GetResult(kafka) is null)
            result.AddError("Name one of --files FOLDER and --kafka HOST:PORT.");
    });
    command.SetAction(async (p, stop) =>
    {
        var names = Names(p);
        var from = p.GetValue(files) ?? p.GetValue(kafka)!;
        using IDeliveredEvents events = p.GetValue(files) is { } folder
            ? new FileEvents(folder, p.GetValue(source)!)
            : new KafkaEvents(from, p.GetValue(source)!, p.GetValue(since));
        var verify = new Verify
        {
            Connection = p.GetValue(connection)!,
            Source = p.GetValue(source)!,
            Slot = names.Slot,
            Publication = names.Publication,
            Wait = p.GetValue(wait) ?? TimeSpan.FromSeconds(60),
            ChangesOnly = p.GetValue(changesOnly),
        };
        return await verify.Run(events, from, stop) ? 0 : 1;
    });
    return command;
}

Command ReadyCommand()
{
    var command = new Command("ready", "Says of each part whether it is ready.") { connection, kafka, gateway, source };
    command.SetAction(async (p, stop) =>
        await Readiness.Check(p.GetValue(connection)!, p.GetValue(kafka), p.GetValue(gateway)!, p.GetValue(source)!, stop) ? 0 : 1);
    return command;
}

Command TeardownCommand()
{
    var command = new Command("teardown", "Removes slot, databases, role, and with --files and --kafka what was delivered; safe to run again.")
    {
        admin, role, database, control, source, slot, files, kafka,
    };
    command.SetAction(async (p, stop) =>
    {
        await Teardown.Run(p.GetValue(admin)!, Names(p), stop);
        if (p.GetValue(files) is { } folder)
            Teardown.RemoveFiles(folder, p.GetValue(source)!);
        if (p.GetValue(kafka) is { } bootstrap)
            await Teardown.RemoveTopics(bootstrap, p.GetValue(source)!);
    });
    return command;
}

ShopNames Names(ParseResult p)
{
    var name = p.GetValue(source) ?? "theworldshop";
    return new ShopNames(
        p.GetValue(role) ?? "cdc", p.GetValue(database) ?? "theworldshop", p.GetValue(control) ?? "cdc",
        p.GetValue(slot) ?? $"cdc_{name}", p.GetValue(publication) ?? $"cdc_{name}");
}
