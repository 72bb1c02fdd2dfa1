using System.CommandLine;
using CdcOrleans.Silo.Commands;
using CdcOrleans.Silo.Hosting;

if (args is ["run", ..])
    RuntimeSettings.Apply();

var root = new RootCommand("CdcOrleans: change data capture from PostgreSQL, one actor per entity.")
{
    RunCommand.Create(),
    CheckCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
