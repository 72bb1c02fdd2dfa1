using System.CommandLine;
using CdcOrleans.Silo.Commands;

var root = new RootCommand("CdcOrleans: change data capture from PostgreSQL, one actor per entity.")
{
    RunCommand.Create(),
    CheckCommand.Create(),
};
foreach (var command in OperationCommands.Create())
    root.Subcommands.Add(command);
root.Subcommands.Add(ReplayCommands.Create());
foreach (var command in BackfillCommands.Create())
    root.Subcommands.Add(command);

// After SIGTERM, a silo reads no more, waits until what it has is durable, and leaves the cluster. By default the command line would end
// the process after two seconds.
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(1) });
