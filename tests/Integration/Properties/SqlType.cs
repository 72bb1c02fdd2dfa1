namespace CdcOrleans.Integration.Properties;

/// <summary>A type that columns can have, and its random values in the form that the type's input takes.</summary>
/// <param name="Name">The type as a statement writes it.</param>
/// <param name="Value">Makes a value.</param>
/// <param name="Key">Makes a value that is short enough for an index; null where the type cannot be a key.</param>
internal sealed record SqlType(string Name, Func<Dice, string> Value, Func<Dice, string>? Key = null)
{
    /// <summary>What stands between elements in an array of it.</summary>
    public char Delimiter { get; init; } = ',';

    public string Literal(string? value) => value is null ? $"NULL::{Name}" : $"{SqlText.Literal(value)}::{Name}";

    public string? ValueOrNull(Dice dice, int percentNull) => dice.Chance(percentNull) ? null : Value(dice);

    public static SqlType Indexable(string name, Func<Dice, string> value) => new(name, value, value);
}
