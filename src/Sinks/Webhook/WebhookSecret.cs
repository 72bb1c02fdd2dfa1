using System.Security.Cryptography;
using System.Text;

namespace CdcOrleans.Sinks.Webhook;

/// <summary>
/// A secret that signs requests as Standard Webhooks describe it: HMAC-SHA256 of <c>id.timestamp.body</c>, as <c>v1,&lt;base64&gt;</c>.
/// It signs the bytes of the body as they are sent. Safe for concurrent use.
/// </summary>
internal sealed class WebhookSecret
{
    public const string Prefix = "whsec_";
    public const int LeastBytes = 24;
    public const int MostBytes = 64;

    private readonly byte[] _key;

    private WebhookSecret(byte[] key) => _key = key;

    /// <summary>Reads a secret; null when it is not <c>whsec_</c> and base64 of 24 to 64 bytes.</summary>
    public static WebhookSecret? Read(string text)
    {
        if (!text.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        var key = new byte[text.Length];
        return Convert.TryFromBase64Chars(text.AsSpan(Prefix.Length), key, out var length) && length is >= LeastBytes and <= MostBytes
            ? new WebhookSecret(key[..length])
            : null;
    }

    /// <summary>Returns the signature of a request.</summary>
    /// <param name="id">The content of <c>webhook-id</c>.</param>
    /// <param name="timestamp">The content of <c>webhook-timestamp</c>.</param>
    /// <param name="body">The bytes of the body.</param>
    public string Sign(string id, string timestamp, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        hash.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        hash.AppendData(body);
        Span<byte> signature = stackalloc byte[HMACSHA256.HashSizeInBytes];
        hash.GetHashAndReset(signature);
        return $"v1,{Convert.ToBase64String(signature)}";
    }
}
