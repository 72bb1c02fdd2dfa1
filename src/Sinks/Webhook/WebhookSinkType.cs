using System.Net;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>The type <c>webhook</c>.</summary>
internal sealed class WebhookSinkType : SinkType<WebhookSinkConfiguration>
{
    /// <summary>What a secret looks like, for messages.</summary>
    public const string SecretForm = "'whsec_' and base64 of 24 to 64 random bytes";

    private const int MostSecrets = 5;

    /// <inheritdoc />
    public override string Name => "webhook";

    /// <inheritdoc />
    public override IReadOnlyList<string> Keys { get; } =
        ["url", "secret", "batch", "timeout", "connect_timeout", "concurrency", "private_addresses", "retry_statuses"];

    /// <inheritdoc />
    public override WebhookSinkConfiguration? Read(string name, ISettings settings, string folder)
    {
        var isPrivate = settings.Find("private_addresses")?.AsWord("refuse", "allow") == "allow";
        var url = Url(settings.Require("url", "write for example 'url: https://hooks.example.com/cdc'"), isPrivate);
        var secrets = Secrets(settings.Require("secret", "write for example 'secret: \"${HOOK_SECRET}\"'; requests are signed with it"));
        var read = new WebhookSinkConfiguration { Name = name, Url = url ?? "", Secrets = secrets ?? [], AllowPrivate = isPrivate };
        read = read with
        {
            Batch = Batch(settings.Find("batch")),
            Timeout = settings.Find("timeout")?.AsDuration(TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(5)) ?? read.Timeout,
            ConnectTimeout = settings.Find("connect_timeout")?.AsDuration(TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1)) ?? read.ConnectTimeout,
            Concurrency = settings.Find("concurrency")?.AsInteger(1, 256) ?? read.Concurrency,
            RetryStatuses = [.. (settings.Find("retry_statuses")?.AsList() ?? []).Select(s => s.AsInteger(400, 499)).OfType<int>()],
        };
        return url is null || secrets is null ? null : read;
    }

    /// <inheritdoc />
    public override ISink Create(WebhookSinkConfiguration configuration, TimeProvider time, ILoggerFactory logs) =>
        new WebhookSink(configuration, time, logs.CreateLogger<WebhookSink>());

    // An address may have a password, so messages never show it.
    private static string? Url(ISetting? value, bool isPrivate)
    {
        if (value?.AsText() is not { } text)
            return null;
        if (WebhookAddress.Read(text, out var problem) is not { } address)
        {
            value.Refuse(problem!);
            return null;
        }

        // A name is checked again when it is resolved.
        var host = address.Host;
        var isLocal = host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
        if (!isPrivate && (isLocal || (IPAddress.TryParse(host, out var literal) && PrivateNetworks.Contain(literal))))
            value.Refuse("leads to an address that is not of the public internet; correct it, or set private_addresses: allow");
        return text;
    }

    private static List<string>? Secrets(ISetting? value)
    {
        if (value?.AsList() is not { } items)
            return null;
        if (items.Count > MostSecrets)
            value.Refuse($"has more than {MostSecrets} secrets; a new one and the one that it replaces are enough");
        var secrets = new List<string>();
        foreach (var item in items)
        {
            if (item.AsText() is not { } text)
                return null;
            if (WebhookSecret.Read(text) is null)
                item.Refuse($"is not a secret; write {SecretForm}, such as the output of: echo whsec_$(openssl rand -base64 32)");
            secrets.Add(text);
        }

        return secrets;
    }

    private static WebhookBatch? Batch(ISetting? value)
    {
        if (value is null)
            return null;
        var defaults = new WebhookBatch();
        if (!value.IsMapping)
            return value.AsInteger(1, 10_000) is { } events and > 1 ? defaults with { Events = events } : null;
        if (value.AsSection("events", "bytes", "linger") is not { } batch)
            return null;
        return defaults with
        {
            Events = batch.Find("events")?.AsInteger(1, 10_000) ?? defaults.Events,
            Bytes = batch.Find("bytes")?.AsSize(1L << 10, 64L << 20) ?? defaults.Bytes,
            Linger = batch.Find("linger")?.AsDuration(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(10), "no waiting") ?? defaults.Linger,
        };
    }
}
