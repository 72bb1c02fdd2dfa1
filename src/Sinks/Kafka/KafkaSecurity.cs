using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>Reads how the client secures its connections, as settings of librdkafka. Brokers are always verified.</summary>
internal static class KafkaSecurity
{
    private static readonly string[] Mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

    /// <summary>Returns the settings; empty without both sections.</summary>
    /// <param name="tls">The section <c>tls</c>, or <c>true</c>.</param>
    /// <param name="sasl">The section <c>sasl</c>.</param>
    /// <param name="folder">Folder that relative paths start from.</param>
    public static Dictionary<string, string> Read(ISetting? tls, ISetting? sasl, string folder)
    {
        var settings = new Dictionary<string, string>();
        var isEncrypted = tls is not null && Tls(tls, settings, folder);
        var isNamed = sasl is not null && Sasl(sasl, settings);
        if (isEncrypted || isNamed)
            settings["security.protocol"] = (isEncrypted, isNamed) switch { (true, true) => "SASL_SSL", (true, false) => "SSL", _ => "SASL_PLAINTEXT" };
        return settings;
    }

    private static bool Tls(ISetting value, Dictionary<string, string> settings, string folder)
    {
        if (!value.IsMapping)
        {
            if (value.AsWord("true", "false") != "true")
                return false;
        }
        else if (value.AsSection("ca", "certificate", "key", "key_password", "verify") is { } tls)
        {
            Set("ssl.ca.location", Path(tls.Find("ca"), folder));
            Set("ssl.certificate.location", Path(tls.Find("certificate"), folder));
            Set("ssl.key.location", Path(tls.Find("key"), folder));
            Set("ssl.key.password", tls.Find("key_password")?.AsText());
            if (tls.Find("certificate") is null != tls.Find("key") is null)
                (tls.Find("certificate") ?? tls.Find("key"))!.RefuseKey("certificate and key belong together; write both, or none");
            if (tls.Find("verify")?.AsWord("full", "ca") == "ca")
                settings["ssl.endpoint.identification.algorithm"] = "none";
        }

        settings.TryAdd("ssl.endpoint.identification.algorithm", "https");
        settings["enable.ssl.certificate.verification"] = "true";
        return true;

        void Set(string name, string? text)
        {
            if (text is not null)
                settings[name] = text;
        }
    }

    private static bool Sasl(ISetting value, Dictionary<string, string> settings)
    {
        if (value.AsSection("mechanism", "username", "password") is not { } sasl)
            return false;
        var mechanism = sasl.Require("mechanism", $"write one of {string.Join(", ", Mechanisms)}")?.AsWord(Mechanisms);
        var user = sasl.Require("username", "write the name that the brokers know")?.AsText();
        var password = sasl.Require("password", "write for example 'password: \"${KAFKA_PASSWORD}\"'")?.AsText();
        if (mechanism is null || user is null || password is null)
            return false;
        settings["sasl.mechanism"] = mechanism;
        settings["sasl.username"] = user;
        settings["sasl.password"] = password;
        return true;
    }

    private static string? Path(ISetting? value, string folder)
    {
        if (value?.AsText() is not { } path)
            return null;
        path = System.IO.Path.GetFullPath(path, folder);
        if (System.IO.File.Exists(path))
            return path;
        value.Refuse("is not a file that can be read; write the path of a file in the form PEM");
        return null;
    }
}
