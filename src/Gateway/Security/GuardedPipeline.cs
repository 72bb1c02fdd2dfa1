using CdcOrleans.Gateway.Api;

namespace CdcOrleans.Gateway.Security;

/// <summary>What every request passes before any endpoint, whichever host the gateway runs in.</summary>
internal sealed class GuardedPipeline : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.UseMiddleware<SecurityHeaders>();
        app.UseExceptionHandler();
        app.UseStatusCodePages(context => Problem.OfStatus(context.HttpContext).ExecuteAsync(context.HttpContext));
        app.UseMiddleware<LoopbackHosts>();
        next(app);
    };
}
