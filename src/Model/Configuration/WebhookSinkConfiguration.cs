namespace CdcOrleans.Model.Configuration;

/// <summary>HTTP requests, signed as Standard Webhooks describe it.</summary>
public sealed record WebhookSinkConfiguration : SinkConfiguration
{
    /// <inheritdoc />
    public override string Type => "webhook";

    /// <summary>
    /// Address of the receiver, <c>http</c> or <c>https</c>. Its path may have <c>{topic}</c>, <c>{source}</c> and <c>{table}</c>. A user
    /// and a password in it are sent as basic authentication.
    /// </summary>
    public required string Url { get; init; }

    /// <summary>Secrets, <c>whsec_</c> and base64 of 24 to 64 bytes; at least one. Each signs every request, so that one can be replaced by another.</summary>
    public required IReadOnlyList<string> Secrets { get; init; }

    /// <summary>Requests with several events; null: every request has one event.</summary>
    public WebhookBatch? Batch { get; init; }

    /// <summary>Time in which a request must be answered, from its first byte to the head of the answer. Default 10 s, 100 ms to 5 min.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time in which a connection must be there, TLS included. Default 5 s, 100 ms to 1 min.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests in progress at one address at most. Default 8, 1 to 256.</summary>
    public int Concurrency { get; init; } = 8;

    /// <summary>
    /// Whether addresses of private networks, of this machine, of the link and the like are allowed. Default: no, also when a name
    /// resolves to them.
    /// </summary>
    public bool AllowPrivate { get; init; }

    /// <summary>Answers of the class 4xx that are no fault of the event, so that it fails for now; 408, 425 and 429 always are.</summary>
    public IReadOnlyList<int> RetryStatuses { get; init; } = [];
}

/// <summary>How events are put together in requests.</summary>
public sealed record WebhookBatch
{
    /// <summary>Events in one request at most. Default 100, 1 to 10,000.</summary>
    public int Events { get; init; } = 100;

    /// <summary>Bytes of keys and values in one request at most; a larger event has a request of its own. Default 1 MiB, 1 KiB to 64 MiB.</summary>
    public long Bytes { get; init; } = 1L << 20;

    /// <summary>How long an event waits for others. Default 10 ms, at most 10 s.</summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromMilliseconds(10);
}
