using System.Text.Json;
using CdcOrleans.Gateway.Cluster;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using Microsoft.AspNetCore.Http.HttpResults;

namespace CdcOrleans.Gateway.Api;

/// <summary>The endpoints for entities.</summary>
internal static class EntityEndpoints
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        Describe(endpoints.MapGet(EntityAddress.Prefix + "{source}/{table}/{**key}", ByPath), "getEntity", "An entity, its key in the path",
            "The last applied version and row. The key is the rest of the path, percent-encoded; slashes in it need not be encoded.");
        Describe(endpoints.MapGet(EntityAddress.Prefix + "{source}/{table}", ByQuery), "getEntityByQuery", "An entity, its key in the query",
            "The last applied version and row, for keys that cannot be in a path: the empty text, '.' and '..'.");
    }

    private static void Describe(RouteHandlerBuilder endpoint, string name, string summary, string description) => endpoint
        .WithName(name).WithSummary(summary).WithDescription(description).WithTags("entities")
        .ProducesProblem(StatusCodes.Status400BadRequest)
        .ProducesProblem(StatusCodes.Status404NotFound)
        .ProducesProblem(StatusCodes.Status502BadGateway)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable)
        .ProducesProblem(StatusCodes.Status504GatewayTimeout);

    private static async Task<Results<Ok<Entity>, ProblemHttpResult>> ByPath(
        string source, string table, string? key, HttpContext context, ClusterCalls cluster, GatewaySettings settings) =>
        await Read(EntityAddress.OfPath(context) ?? new EntityId(source, new EntityKey(table, key ?? "")), cluster, settings, context.RequestAborted);

    private static async Task<Results<Ok<Entity>, ProblemHttpResult>> ByQuery(
        string source, string table, string? key, HttpContext context, ClusterCalls cluster, GatewaySettings settings)
    {
        if (key is null)
            return Problem.BadKey("The request names no key; write /api/v1/entities/{source}/{schema.table}/{key}, or ?key= after the table.");
        var id = EntityAddress.OfPath(context) ?? new EntityId(source, new EntityKey(table, ""));
        return await Read(id with { Key = new EntityKey(id.Key.Table, key) }, cluster, settings, context.RequestAborted);
    }

    private static async Task<Results<Ok<Entity>, ProblemHttpResult>> Read(
        EntityId id, ClusterCalls cluster, GatewaySettings settings, CancellationToken cancellation)
    {
        var table = id.Key.Table;
        // Checked before the cluster is asked, so that no grain is activated for a table without entities.
        if (Refusal(id, settings) is { } refusal)
            return refusal;
        return await cluster.Entity(id, cancellation) is { } view
            ? TypedResults.Ok(new Entity(
                id.Source, table, id.Key.Key, view.Version.ToString(), view.Deleted, view.SchemaVersion, view.Waiting, view.Awake,
                view.Row is null ? null : JsonElement.Parse(view.Row), Reporting.Absence(view.RowAbsence)))
            : Problem.UnknownEntity(id.Source, table);
    }

    /// <summary>The answer to the address of an entity that cannot exist; null when it may.</summary>
    public static ProblemHttpResult? Refusal(EntityId id, GatewaySettings settings)
    {
        if (settings.Source(id.Source) is not { } source)
            return Problem.UnknownSource(id.Source, settings);
        var selection = source.Select(id.Key.Table);
        return selection is null or { Entities: EntityMode.Off } ? Problem.TableNotHeld(source, id.Key.Table, selection) : Refusal(id.Key);
    }

    /// <summary>The answer to a key that no entity has; null when one may have it.</summary>
    public static ProblemHttpResult? Refusal(EntityKey entity)
    {
        if (entity.Key.Contains('\0') || entity.Table.Contains('\0'))
            return Problem.BadKey("The request has the character U+0000 (%00), which no name and no text in PostgreSQL contains.");
        try
        {
            EntityKeyText.Split(entity.Key);
            return null;
        }
        catch (FormatException e)
        {
            return Problem.BadKey(e.Message);
        }
    }
}
