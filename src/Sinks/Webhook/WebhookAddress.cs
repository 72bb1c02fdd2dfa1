using System.Net.Http.Headers;
using System.Text;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>The address of a webhook, whose path may have the place holders <c>{topic}</c>, <c>{source}</c> and <c>{table}</c>.</summary>
internal sealed class WebhookAddress
{
    // Stands in for a place holder while the address is parsed. A host, a port or a scheme with it is refused.
    private const string Mark = "zzplacezz";

    private static readonly string[] PlaceHolders = ["{topic}", "{source}", "{table}"];

    private readonly string _template;

    private WebhookAddress(string template, string? user)
    {
        _template = template;
        Credentials = user is null ? null : new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(user))));
        IsTemplate = PlaceHolders.Any(p => template.Contains(p, StringComparison.Ordinal));
    }

    /// <summary>User and password of the address, for the header <c>Authorization</c>; null when it has none.</summary>
    public AuthenticationHeaderValue? Credentials { get; }

    /// <summary>Whether it has place holders, so that topics may have addresses of their own.</summary>
    public bool IsTemplate { get; }

    /// <summary>Reads an address.</summary>
    /// <param name="text">The address as configured.</param>
    /// <param name="problem">What is wrong with it, with the remedy, without the address; null when it can be used.</param>
    public static WebhookAddress? Read(string text, out string? problem)
    {
        var marked = PlaceHolders.Aggregate(text, (t, p) => t.Replace(p, Mark, StringComparison.Ordinal));
        problem = null;
        if (!Uri.TryCreate(marked, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0)
            problem = "is not an address of a webhook; write http or https, a host and a path, such as https://hooks.example.com/cdc";
        else if (marked.AsSpan().ContainsAny('{', '}'))
            problem = "has a place holder that is not known; the place holders are {topic}, {source} and {table}, and write %7B for a '{'";
        else if (uri.Fragment.Length > 0)
            problem = "has a fragment (#…), which is not sent; remove it";
        else if ($"{uri.UserInfo}{uri.Host}{uri.Query}".Contains(Mark, StringComparison.OrdinalIgnoreCase))
            problem = "has a place holder outside its path; {topic}, {source} and {table} are for the path";
        if (problem is not null)
            return null;
        var user = uri!.UserInfo.Length > 0 ? uri.UserInfo : null;
        var template = text;
        if (user is not null)
        {
            var start = text.IndexOf("//", StringComparison.Ordinal) + 2;
            var end = text.IndexOfAny(['/', '?'], start);
            template = text[..start] + text[(text.LastIndexOf('@', end < 0 ? text.Length - 1 : end) + 1)..];
        }

        return new WebhookAddress(template, user);
    }

    /// <summary>Returns the address for a topic, without user and password.</summary>
    public Uri For(string topic, string source)
    {
        var table = topic.Length > source.Length && topic.StartsWith(source, StringComparison.Ordinal) && topic[source.Length] == '.'
            ? topic[(source.Length + 1)..]
            : topic;
        return new Uri(_template
            .Replace("{topic}", Uri.EscapeDataString(topic), StringComparison.Ordinal)
            .Replace("{source}", Uri.EscapeDataString(source), StringComparison.Ordinal)
            .Replace("{table}", Uri.EscapeDataString(table), StringComparison.Ordinal));
    }

    /// <summary>Host of the address, without brackets.</summary>
    public string Host => For("t", "s").IdnHost;

    /// <summary>Returns an address for people: without user, password and query, which may be secrets.</summary>
    public static string Shown(Uri address) => address.GetComponents(UriComponents.Scheme | UriComponents.Host | UriComponents.Port | UriComponents.Path, UriFormat.UriEscaped);
}
