using System.Globalization;
using DbUp.Engine.Output;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Logs what the migration engine reports.</summary>
internal sealed partial class MigrationLog(ILogger logger) : IUpgradeLog
{
    public void LogTrace(string format, params object[] args) => Write(LogLevel.Trace, format, args);

    public void LogDebug(string format, params object[] args) => Write(LogLevel.Debug, format, args);

    public void LogInformation(string format, params object[] args) => Write(LogLevel.Information, format, args);

    public void LogWarning(string format, params object[] args) => Write(LogLevel.Warning, format, args);

    // The caller gets the same error as an exception with a remedy.
    public void LogError(string format, params object[] args) => Write(LogLevel.Debug, format, args);

    public void LogError(Exception ex, string format, params object[] args) => Write(LogLevel.Debug, format, args);

    private void Write(LogLevel level, string format, object[] args)
    {
        if (!logger.IsEnabled(level))
            return;
        var text = args.Length == 0 ? format : string.Format(CultureInfo.InvariantCulture, format, args);
        Report(logger, level, text);
    }

    [LoggerMessage(Message = "Control database: {Text}")]
    private static partial void Report(ILogger logger, LogLevel level, string text);
}
