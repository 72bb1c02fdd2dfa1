using System.CommandLine;
using CdcOrleans.Silo.Commands;

var root = new RootCommand("CdcOrleans: change data capture from PostgreSQL, one actor per entity.")
{
    RunCommand.Create(),
    CheckCommand.Create(),
};
return await root.Parse(args).InvokeAsync();
