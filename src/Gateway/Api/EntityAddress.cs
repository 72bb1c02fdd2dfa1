using CdcOrleans.Model.Entities;
using Microsoft.AspNetCore.Http.Features;

namespace CdcOrleans.Gateway.Api;

/// <summary>
/// Reads source, table and key of an entity from the request line as it was sent. The path that routing sees is decoded except for
/// <c>%2F</c>, so <c>a%2Fb</c> and <c>a%252Fb</c> are the same in it.
/// </summary>
internal static class EntityAddress
{
    public const string Prefix = "/api/v1/entities/";

    /// <summary>Returns the entity of a request's path; null when the path is not prefix, source, table and optionally a key.</summary>
    public static EntityId? OfPath(HttpContext context) =>
        Parse(context.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "", context.Request.PathBase.ToUriComponent());

    /// <summary>Returns the entity of a request's path that ends with a suffix such as <c>/history</c>; null as above.</summary>
    public static EntityId? OfPath(HttpContext context, string suffix) =>
        OfPath(context) is { } address ? address with { Key = new EntityKey(address.Key.Table, address.Key.Key.TrimEnd('/')[..^suffix.Length]) } : null;

    /// <summary>Returns the entity of a route's values.</summary>
    public static EntityId Of(string source, string table, string key) => new(source, new EntityKey(table, key));

    /// <summary>Returns the entity of a request target. Without a key, the key is empty.</summary>
    public static EntityId? Parse(ReadOnlySpan<char> target, string pathBase = "")
    {
        var path = WithoutAuthority(WithoutQuery(target));
        var start = pathBase + Prefix;
        if (!path.StartsWith(start, StringComparison.OrdinalIgnoreCase))
            return null;
        var (source, afterSource) = Cut(path[start.Length..]);
        var (table, key) = Cut(afterSource);
        return source.IsEmpty || table.IsEmpty
            ? null
            : new EntityId(Uri.UnescapeDataString(source), new EntityKey(Uri.UnescapeDataString(table), Uri.UnescapeDataString(key)));
    }

    private static ReadOnlySpan<char> WithoutQuery(ReadOnlySpan<char> target) =>
        target.IndexOf('?') is >= 0 and var query ? target[..query] : target;

    // A proxy may send http://host/path.
    private static ReadOnlySpan<char> WithoutAuthority(ReadOnlySpan<char> target)
    {
        if (target.StartsWith("/") || target.IndexOf("://") is not (> 0 and var scheme))
            return target;
        var rest = target[(scheme + 3)..];
        return rest.IndexOf('/') is >= 0 and var root ? rest[root..] : [];
    }

    private static Halves Cut(ReadOnlySpan<char> text) =>
        text.IndexOf('/') is >= 0 and var slash ? new(text[..slash], text[(slash + 1)..]) : new(text, []);

    private readonly ref struct Halves(ReadOnlySpan<char> head, ReadOnlySpan<char> tail)
    {
        private readonly ReadOnlySpan<char> _head = head;
        private readonly ReadOnlySpan<char> _tail = tail;

        public void Deconstruct(out ReadOnlySpan<char> head, out ReadOnlySpan<char> tail)
        {
            head = _head;
            tail = _tail;
        }
    }
}
