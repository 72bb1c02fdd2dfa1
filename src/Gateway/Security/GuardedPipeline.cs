using CdcOrleans.Gateway.Api;

namespace CdcOrleans.Gateway.Security;

/// <summary>The checks that every request passes before any endpoint, in a silo's process and in the gateway's own.</summary>
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
