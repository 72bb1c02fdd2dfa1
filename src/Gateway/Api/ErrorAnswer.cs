using CdcOrleans.Gateway.Cluster;
using Microsoft.AspNetCore.Diagnostics;

namespace CdcOrleans.Gateway.Api;

/// <summary>Turns exceptions into problem documents, and logs them without row data.</summary>
internal sealed partial class ErrorAnswer(ILogger<ErrorAnswer> log) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && context.RequestAborted.IsCancellationRequested)
            return true; // The client is gone.
        if (exception is RefusedRequestException refused)
        {
            await refused.Problem.ExecuteAsync(context);
            return true;
        }

        if (exception is BadHttpRequestException bad)
        {
            context.Response.StatusCode = bad.StatusCode;
            await Problem.OfStatus(context).ExecuteAsync(context);
            return true;
        }

        // Logs the pattern of the route, not the path, because a path may contain the key of an entity. For the same reason, only the type
        // and the stack trace of a cause are logged.
        var route = (context.Features.Get<IExceptionHandlerFeature>()?.Endpoint as RouteEndpoint)?.RoutePattern.RawText ?? "an unknown route";
        if (exception is ClusterTroubleException trouble)
        {
            LogTrouble(route, trouble.Message, trouble.InnerException?.GetType().Name);
            await Problem.OfTrouble(trouble).ExecuteAsync(context);
            return true;
        }

        LogFault(route, exception.GetType().FullName, exception.StackTrace);
        context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        await Problem.OfStatus(context).ExecuteAsync(context);
        return true;
    }

    [LoggerMessage(1, LogLevel.Warning, "{Route}: {Message} (cause: {Cause})")]
    private partial void LogTrouble(string route, string message, string? cause);

    [LoggerMessage(2, LogLevel.Error, "{Route}: unhandled {Exception}\n{Trace}")]
    private partial void LogFault(string route, string? exception, string? trace);
}
