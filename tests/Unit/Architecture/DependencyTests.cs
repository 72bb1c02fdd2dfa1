using ArchUnitNET.Fluent.Slices;
using ArchUnitNET.Fluent.Syntax.Elements.Types;
using ArchUnitNET.Loader;
using Xunit;
using static ArchUnitNET.Fluent.ArchRuleDefinition;

namespace CdcOrleans.Unit.Architecture;

/// <summary>
/// Dependencies follow the flow of a change: from capture over the grains to sinks and storage, over the model's interfaces. Inside
/// the grains, folders form no circle, and none refers to one that comes after it.
/// </summary>
public sealed class DependencyTests
{
    /// <summary>The folders of <c>src/Grains</c>; each may use those before it.</summary>
    private static readonly string[] GrainsFolders =
    [
        "Collections", "Budgets", "Figures", "Deliveries", "Checkpoints", "Placement", "Runtime", "Entities", "Partitions", "Sources", "Replays", "Backfills", "Operations", "Hosting",
    ];

    private static readonly ArchUnitNET.Domain.Architecture Everything = new ArchLoader().LoadAssemblies(
        typeof(Model.CdcMeter).Assembly,
        typeof(CdcOrleans.Grains.Interfaces.Entities.IEntityGrain).Assembly,
        typeof(CdcOrleans.Grains.Hosting.GrainsHostingExtensions).Assembly,
        typeof(CdcOrleans.Capture.Postgres.CaptureServices).Assembly,
        typeof(CdcOrleans.Storage.Postgres.PostgresStorageServices).Assembly,
        typeof(CdcOrleans.Sinks.SinkServices).Assembly,
        typeof(CdcOrleans.Configuration.ConfigurationFile).Assembly,
        typeof(CdcOrleans.Gateway.CdcGateway).Assembly).Build();

    public static TheoryData<string, string> Forbidden
    {
        get
        {
            var forbidden = new TheoryData<string, string>();
            string[] projects = ["Capture.Postgres", "Storage.Postgres", "Sinks", "Configuration", "Grains.Interfaces", "Grains", "Gateway"];
            foreach (var project in projects)
                forbidden.Add("Model", project);
            foreach (var edge in (string[])["Capture.Postgres", "Storage.Postgres", "Sinks", "Configuration"])
            {
                foreach (var project in projects.Where(p => p != edge))
                    forbidden.Add(edge, project);
            }

            foreach (var edge in (string[])["Capture.Postgres", "Storage.Postgres", "Sinks", "Gateway"])
                forbidden.Add("Grains", edge);
            foreach (var edge in (string[])["Capture.Postgres", "Storage.Postgres", "Sinks"])
                forbidden.Add("Gateway", edge);
            return forbidden;
        }
    }

    public static TheoryData<string> WithoutOrleans => ["Model", "Capture.Postgres", "Storage.Postgres", "Sinks", "Configuration"];

    public static TheoryData<string, string> AgainstTheFlow
    {
        get
        {
            var against = new TheoryData<string, string>();
            for (var i = 0; i < GrainsFolders.Length; i++)
            {
                for (var later = i + 1; later < GrainsFolders.Length; later++)
                    against.Add(GrainsFolders[i], GrainsFolders[later]);
            }

            return against;
        }
    }

    [Theory]
    [MemberData(nameof(Forbidden))]
    public void A_project_knows_nothing_of_those_beside_and_after_it(string project, string other) => Hold(
        Types().That().ResideInAssemblyMatching(Assembly(project)).Should().NotDependOnAny(Types().That().ResideInAssemblyMatching(Assembly(other))));

    [Theory]
    [MemberData(nameof(WithoutOrleans))]
    public void Orleans_is_for_grains_and_their_callers(string project)
    {
        var references = System.Reflection.Assembly.Load($"CdcOrleans.{project}").GetReferencedAssemblies();
        Assert.NotEmpty(references);
        Assert.DoesNotContain(references, r => r.Name!.StartsWith("Orleans", StringComparison.Ordinal));
    }

    [Fact]
    public void The_folders_of_the_grains_form_no_circle() =>
        Assert.True(SliceRuleDefinition.Slices().Matching("CdcOrleans.Grains.(*)").Should().BeFreeOfCycles().HasNoViolations(Everything));

    [Theory]
    [MemberData(nameof(AgainstTheFlow))]
    public void A_folder_of_the_grains_refers_to_none_that_comes_after_it(string folder, string later) => Hold(
        Types().That().ResideInNamespaceMatching(Folder(folder)).Should().NotDependOnAny(Types().That().ResideInNamespaceMatching(Folder(later))));

    [Fact]
    public void Every_folder_of_the_grains_has_its_place() =>
        Assert.Empty(Everything.Namespaces
            .Where(n => n.FullName.StartsWith("CdcOrleans.Grains.", StringComparison.Ordinal) && !n.FullName.StartsWith("CdcOrleans.Grains.Interfaces", StringComparison.Ordinal))
            .Select(n => n.FullName.Split('.')[2]).Distinct().Except(GrainsFolders));

    [Fact]
    public void The_rules_find_what_they_are_to_find()
    {
        // Against the other direction, which is the flow, each kind of rule has something to say.
        Assert.False(Types().That().ResideInAssemblyMatching(Assembly("Grains")).Should()
            .NotDependOnAny(Types().That().ResideInAssemblyMatching(Assembly("Model"))).HasNoViolations(Everything));
        Assert.False(Types().That().ResideInNamespaceMatching(Folder("Partitions")).Should()
            .NotDependOnAny(Types().That().ResideInNamespaceMatching(Folder("Entities"))).HasNoViolations(Everything));
    }

    private static string Assembly(string project) => $@"^CdcOrleans\.{project.Replace(".", @"\.", StringComparison.Ordinal)},";

    private static string Folder(string folder) => $@"^CdcOrleans\.Grains\.{folder}($|\.)";

    private static void Hold(TypesShouldConjunction rule)
    {
        var broken = rule.Evaluate(Everything).Where(r => !r.Passed).Select(r => r.Description).ToList();
        Assert.True(broken.Count == 0, string.Join('\n', broken));
    }
}
