using System.Text.Json;
using Spectre.Console;

namespace CdcOrleans.Silo.Commands;

/// <summary>Shows the progress of something that is waited for as a bar in the terminal, on the error output.</summary>
internal static class RunBar
{
    /// <summary>Shows the bar until it is over. Returns what was seen last.</summary>
    /// <param name="first">What was seen first.</param>
    /// <param name="figures">The text beside the bar, what is done, and how much there is.</param>
    /// <param name="next">Looks again, after a moment.</param>
    /// <param name="isOpen">Whether it goes on.</param>
    public static async Task<JsonElement> Run(
        JsonElement first, Func<JsonElement, (string Text, double Done, double Total)> figures, Func<JsonElement, Task<JsonElement>> next, Func<JsonElement, bool> isOpen)
    {
        var seen = first;
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        await console.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn()).StartAsync(async progress =>
        {
            var bar = progress.AddTask(Markup.Escape(figures(seen).Text));
            for (; isOpen(seen); seen = await next(seen))
                Show();
            Show();

            void Show()
            {
                var (text, done, total) = figures(seen);
                bar.Description = Markup.Escape(text);
                bar.MaxValue = Math.Max(1, total);
                bar.Value = isOpen(seen) || done < total ? done : bar.MaxValue;
            }
        });
        return seen;
    }
}
